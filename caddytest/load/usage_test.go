package main

import (
	"math"
	"os"
	"runtime"
	"testing"
)

func TestParseStat(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     float64
	}{
		{"usual", "1234 (load) S 1 1 1 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 8 0 1", 3},
		{"a name with everything", "1234 (a) b (c) S 1 1 1 0 -1 4194560 100 0 0 0 250 50 0 0 20", 3},
		{"cut", "1234 (load) S 1 1", math.NaN()},
		{"no name", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", math.NaN()},
		{"no number", "1234 (load) S 1 1 1 0 -1 4194560 100 0 0 0 x 50 0 0 20", math.NaN()},
		{"empty", "", math.NaN()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := parseStat([]byte(tc.in)); got != tc.want && known(got) != known(tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestStatusMiB(t *testing.T) {
	status := []byte("Name:\tload\nVmHWM:\t    2048 kB\nVmRSS:\t1024 kB\nVmData:\t12\nVmLib:\tx kB\n")
	for name, want := range map[string]float64{"VmHWM": 2, "VmRSS": 1, "VmData": math.NaN(), "VmLib": math.NaN(), "Vm": math.NaN()} {
		if got := statusMiB(status, name); got != want && known(got) != known(want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func TestMountedAt(t *testing.T) {
	const mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/vdb /tmp/disk xfs rw 0 0\nproc /proc proc rw 0 0\n"
	for dir, want := range map[string]string{
		"/home/x": "ext4", "/tmp": "tmpfs", "/tmp/x": "tmpfs", "/tmpx": "ext4", "/tmp/disk/y": "xfs", "/": "ext4",
	} {
		if got := mountedAt(mounts, dir); got != want {
			t.Errorf("%s is on %q, want %q", dir, got, want)
		}
	}
	if got := mountedAt("", "/x"); got != "" {
		t.Errorf("nothing is known, got %q", got)
	}
}

func TestOwnUsage(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has /proc")
	}
	s := &server{pid: os.Getpid()}
	if m := s.memory(); !(m.now > 1 && m.peak >= m.now*0.9) {
		t.Errorf("memory %+v", m)
	}
	if cpu := cpuSeconds(s.pid); !known(cpu) {
		t.Errorf("CPU %v", cpu)
	}
	none := &server{}
	if m := none.memory(); known(m.now) || known(m.peak) || known(cpuSeconds(none.pid)) {
		t.Errorf("a process that is not there: %+v", m)
	}
}
