package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTicks is the unit of CPU times in /proc, per second: 100 on every system
// that Go runs on.
const clockTicks = 100

// usage is what a process has used so far. What the system does not tell is
// unknown().
type usage struct {
	cpu    float64 // seconds
	allocs float64 // objects
}

// memory is what a process takes up, in MiB.
type memory struct{ now, peak float64 }

// usage asks the system and Caddy's admin endpoint.
func (s *server) usage(ctx context.Context) usage {
	return usage{cpuSeconds(s.pid), mallocs(ctx, s.admin)}
}

func (s *server) memory() memory {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	if err != nil {
		return memory{unknown(), unknown()}
	}
	return memory{statusMiB(status, "VmRSS"), statusMiB(status, "VmHWM")}
}

// cpuSeconds is user and system time of a process.
func cpuSeconds(pid int) float64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return unknown()
	}
	return parseStat(stat)
}

// parseStat reads utime and stime of /proc/<pid>/stat. The program's name, which
// may hold anything, stands in parentheses before them.
func parseStat(stat []byte) float64 {
	i := bytes.LastIndexByte(stat, ')')
	fields := strings.Fields(string(stat[i+1:]))
	const utime, stime = 14 - 3, 15 - 3 // the third field comes first
	if i < 0 || len(fields) <= stime {
		return unknown()
	}
	u, err1 := strconv.ParseFloat(fields[utime], 64)
	s, err2 := strconv.ParseFloat(fields[stime], 64)
	if err1 != nil || err2 != nil {
		return unknown()
	}
	return (u + s) / clockTicks
}

// statusMiB reads a line such as "VmRSS:  1234 kB" of /proc/<pid>/status.
func statusMiB(status []byte, name string) float64 {
	for line := range strings.Lines(string(status)) {
		rest, ok := strings.CutPrefix(line, name+":")
		if !ok {
			continue
		}
		fields := strings.Fields(rest)
		if len(fields) != 2 || fields[1] != "kB" {
			return unknown()
		}
		kib, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			return unknown()
		}
		return kib / 1024
	}
	return unknown()
}

// mallocs is how many objects Caddy has allocated since it began.
func mallocs(ctx context.Context, admin string) float64 {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/debug/vars", nil)
	if err != nil {
		return unknown()
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return unknown()
	}
	defer resp.Body.Close()
	var vars struct {
		Memstats struct{ Mallocs float64 } `json:"memstats"`
	}
	if json.NewDecoder(resp.Body).Decode(&vars) != nil || vars.Memstats.Mallocs == 0 {
		return unknown()
	}
	return vars.Memstats.Mallocs
}

// fileSystem names the kind of file system that a directory lies on, where the
// system tells; else it is empty.
func fileSystem(dir string) string {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return ""
	}
	return mountedAt(string(mounts), dir)
}

func mountedAt(mounts, dir string) string {
	kind, longest := "", -1
	for line := range strings.Lines(mounts) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		at := strings.TrimSuffix(fields[1], "/")
		if len(at) >= longest && (dir == at || strings.HasPrefix(dir, at+"/")) {
			kind, longest = fields[2], len(at)
		}
	}
	return kind
}
