package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/iotest"
	"time"
)

// film is some content of a size, the same for the same seed.
func film(seed uint64, size int) []byte {
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(b)
	return b
}

// put stores a file of a user.
func put(t testing.TB, j *Journal, openid, name string, data []byte) Media {
	t.Helper()
	m, err := j.PutMedia(context.Background(), Media{Account: "app", OpenID: openid, Ref: "msg-" + name, Name: name, Ext: "png"}, bytes.NewReader(data))
	noErr(t, err)
	return m
}

// kept are which of some names are there.
func kept(t testing.TB, j *Journal, names ...string) (there []string) {
	t.Helper()
	for _, name := range names {
		_, found, err := j.Media(context.Background(), "app", name)
		noErr(t, err)
		if found {
			there = append(there, name)
		}
	}
	return there
}

// mediaRows counts the rows of a table of the media database.
func mediaRows(t testing.TB, j *Journal, table string) (n int) {
	t.Helper()
	s, err := j.media.open(context.Background())
	noErr(t, err)
	noErr(t, s.r.db.QueryRow("SELECT count(*) FROM "+table).Scan(&n))
	return n
}

// TestMediaRoundTrip: what was put is read, whole and in parts, also after a restart.
func TestMediaRoundTrip(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "wechat")
	j := testOpen(t, Config{Dir: dir})
	if _, found, err := j.Media(ctx, "app", "x"); found || err != nil {
		t.Fatalf("an empty base: %v, %v", found, err)
	}
	if _, err := os.Stat(filepath.Join(dir, mediaName)); err == nil {
		t.Fatal("the media database was made before anybody needed it")
	}
	sizes := []int{0, 1, mediaChunk - 1, mediaChunk, mediaChunk + 1, mediaBatch * mediaChunk, mediaBatch*mediaChunk + 7, 3_000_000}
	for i, size := range sizes {
		m := put(t, j, "u", fmt.Sprint("f", i), film(uint64(i), size))
		if m.Size != int64(size) {
			t.Fatalf("size %d, want %d", m.Size, size)
		}
	}
	noErr(t, j.Close())
	j = testOpen(t, Config{Dir: dir})
	for i, size := range sizes {
		m, found, err := j.Media(ctx, "app", fmt.Sprint("f", i))
		if err != nil || !found || m.OpenID != "u" || m.Ext != "png" || m.Ref != fmt.Sprint("msg-f", i) || m.Size != int64(size) {
			t.Fatalf("found %v, %+v, %v", found, m, err)
		}
		r, err := j.ReadMedia(ctx, m)
		noErr(t, err)
		if err := iotest.TestReader(r, film(uint64(i), size)); err != nil && size < 1_000_000 {
			t.Errorf("%d bytes: %v", size, err)
		}
		_, err = r.Seek(0, io.SeekStart)
		noErr(t, err)
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, film(uint64(i), size)) {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
		if of, found, err := j.MediaOf(ctx, "app", "u", m.Ref); err != nil || !found || of != m {
			t.Errorf("by message: %+v, %v", of, err)
		}
	}
	for _, other := range [][2]string{{"other", "f1"}, {"app", "f"}, {"app", ""}} {
		if _, found, err := j.Media(ctx, other[0], other[1]); found || err != nil {
			t.Errorf("%v was found (%v)", other, err)
		}
	}
	if _, err := j.PutMedia(ctx, Media{Account: "app", Name: "f1"}, bytes.NewReader(nil)); err == nil {
		t.Error("a name was taken twice")
	}
	if runtime.GOOS != "windows" {
		for _, name := range []string{mediaName, mediaName + "-wal"} {
			if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", name, info.Mode(), err)
			}
		}
	}
}

// TestMediaExpires: what is too old is not found, and then deleted.
func TestMediaExpires(t *testing.T) {
	t.Parallel()
	c := newClock()
	j := testOpen(t, Config{Now: c.Now})
	put(t, j, "u", "old", film(1, 100_000))
	c.Add(DefaultMediaKeep - time.Second)
	put(t, j, "u", "new", film(2, 100_000))
	if got := kept(t, j, "old", "new"); len(got) != 2 {
		t.Fatalf("kept %v", got)
	}
	c.Add(time.Second)
	if got := kept(t, j, "old", "new"); len(got) != 1 || got[0] != "new" {
		t.Fatalf("kept %v", got)
	}
	noErr(t, j.PruneMedia(t.Context()))
	if n := mediaRows(t, j, "chunks"); n != 2 {
		t.Errorf("%d chunks are left, want 2", n)
	}
	j.BoundMedia("app", MediaBounds{Keep: time.Minute})
	c.Add(time.Minute)
	if got := kept(t, j, "new"); got != nil {
		t.Errorf("kept %v after the time was shortened", got)
	}
	noErr(t, j.PruneMedia(t.Context()))
	if n := mediaRows(t, j, "media") + mediaRows(t, j, "chunks"); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

// TestMediaStore: the oldest goes when there is no room, and no more is kept than may be.
func TestMediaStore(t *testing.T) {
	t.Parallel()
	c := newClock()
	dir := filepath.Join(t.TempDir(), "wechat")
	j := testOpen(t, Config{Dir: dir, Now: c.Now})
	j.BoundMedia("app", MediaBounds{Store: 1_000_000})
	for i := range 5 {
		c.Add(time.Second)
		put(t, j, "u", fmt.Sprint("f", i), film(uint64(i), 300_000))
	}
	names := []string{"f0", "f1", "f2", "f3", "f4", "f5", "f6"}
	if got := fmt.Sprint(kept(t, j, names...)); got != "[f2 f3 f4]" {
		t.Errorf("kept %s", got)
	}
	_, err := j.PutMedia(t.Context(), Media{Account: "app", Name: "huge"}, bytes.NewReader(make([]byte, 1_000_001)))
	if !errors.Is(err, ErrMediaFull) {
		t.Errorf("a file beyond the bound: %v", err)
	}
	// A beginning of it may have taken the place of others, but not all of it is counted any more.
	noErr(t, j.Close())
	j = testOpen(t, Config{Dir: dir, Now: c.Now})
	j.BoundMedia("app", MediaBounds{Store: 1_000_000})
	put(t, j, "u", "f5", film(5, 700_000))
	if got := fmt.Sprint(kept(t, j, names...)); got != "[f4 f5]" {
		t.Errorf("kept %s after a restart", got)
	}
	j.BoundMedia("other", MediaBounds{Store: 10})
	j.BoundMedia("app", MediaBounds{Store: 800_000})
	noErr(t, j.PruneMedia(t.Context()))
	if got := fmt.Sprint(kept(t, j, names...)); got != "[f5]" {
		t.Errorf("kept %s after the bound was lowered", got)
	}
	s, _ := j.media.open(t.Context())
	if got := s.usage("app").Load(); got != 700_000 {
		t.Errorf("%d bytes are counted, want 700000", got)
	}
}

// TestMediaShare: somebody who sends file after file pushes out their own, not what others have sent before.
func TestMediaShare(t *testing.T) {
	t.Parallel()
	c := newClock()
	j := testOpen(t, Config{Now: c.Now})
	j.BoundMedia("app", MediaBounds{Store: 1_000_000})
	store := func(openid string, n int) {
		for i := range n {
			c.Add(time.Second)
			put(t, j, openid, fmt.Sprint(openid, i), film(uint64(i), 100_000))
		}
	}
	store("quiet", 3)
	store("flood", 20)
	if got := fmt.Sprint(kept(t, j, "quiet0", "quiet1", "quiet2", "flood12", "flood13", "flood18", "flood19")); got != "[quiet0 quiet1 quiet2 flood13 flood18 flood19]" {
		t.Errorf("kept %s", got)
	}
	store("newcomer", 1) // has no more than a share: the oldest goes
	if got := fmt.Sprint(kept(t, j, "quiet0", "quiet1", "flood13", "newcomer0")); got != "[quiet1 flood13 newcomer0]" {
		t.Errorf("kept %s after somebody else's", got)
	}
}

// TestMediaShrinks: what is deleted is given back to the disk.
func TestMediaShrinks(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "wechat")
	j := testOpen(t, Config{Dir: dir, Sync: Normal})
	for i := range 12 {
		put(t, j, "u", fmt.Sprint("f", i), make([]byte, 4<<20))
	}
	noErr(t, j.ForgetMedia(t.Context(), "app", "u", time.Now()))
	noErr(t, j.PruneMedia(t.Context()))
	noErr(t, j.Close())
	info, err := os.Stat(filepath.Join(dir, mediaName))
	noErr(t, err)
	if info.Size() > 20<<20 {
		t.Errorf("the empty database has %d bytes", info.Size())
	}
}

// TestMediaForget deletes what one user sent.
func TestMediaForget(t *testing.T) {
	t.Parallel()
	j := testOpen(t, Config{})
	noErr(t, j.ForgetMedia(t.Context(), "app", "alice", time.Now())) // nothing is there, not even a database
	m := put(t, j, "alice", "a1", film(1, 2_000_000))
	put(t, j, "alice", "a2", film(2, 10))
	put(t, j, "bob", "b1", film(3, 10))
	r, err := j.ReadMedia(t.Context(), m)
	noErr(t, err)
	_, err = io.CopyN(io.Discard, r, 1000)
	noErr(t, err)
	noErr(t, j.ForgetMedia(t.Context(), "app", "alice", time.Now()))
	if got := fmt.Sprint(kept(t, j, "a1", "a2", "b1")); got != "[b1]" {
		t.Errorf("kept %s", got)
	}
	if n := mediaRows(t, j, "chunks"); n != 1 {
		t.Errorf("%d chunks are left, want 1", n)
	}
	if _, err := io.Copy(io.Discard, r); err == nil || r.Err() == nil {
		t.Error("a deleted file was read to its end")
	}
}

// TestMediaInterrupted: of a file that breaks off nothing is left.
func TestMediaInterrupted(t *testing.T) {
	t.Parallel()
	j := testOpen(t, Config{})
	cut := io.ErrUnexpectedEOF
	from := func() io.Reader { return io.MultiReader(bytes.NewReader(film(1, 2_000_000)), iotest.ErrReader(cut)) }
	if _, err := j.PutMedia(t.Context(), Media{Account: "app", Name: "f"}, from()); err != cut {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := j.PutMedia(ctx, Media{Account: "app", Name: "g"}, io.MultiReader(from(), readFunc(func() { cancel() }))); err == nil {
		t.Error("no error")
	}
	if n := mediaRows(t, j, "media") + mediaRows(t, j, "chunks"); n != 0 {
		t.Errorf("%d rows are left", n)
	}
	s, _ := j.media.open(t.Context())
	if n := s.usage("app").Load(); n != 0 {
		t.Errorf("%d bytes are counted", n)
	}
}

type readFunc func()

func (f readFunc) Read([]byte) (int, error) {
	f()
	return 0, context.Canceled
}

// TestMediaGivenUp: what a process left unfinished is deleted by the next.
func TestMediaGivenUp(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "wechat")
	j := testOpen(t, Config{Dir: dir})
	put(t, j, "u", "whole", film(1, 10))
	put(t, j, "u", "half", film(2, 200_000))
	s, err := j.media.open(t.Context())
	noErr(t, err)
	noErr(t, s.w.do(t.Context(), func(t *tx) error {
		_, err := t.exec("UPDATE media SET done = 0 WHERE name = 'half'")
		return err
	}))
	noErr(t, j.PruneMedia(t.Context()))
	if n := mediaRows(t, j, "media"); n != 2 {
		t.Fatalf("%d files: what is under way was deleted", n)
	}
	noErr(t, j.Close())
	j = testOpen(t, Config{Dir: dir})
	noErr(t, j.PruneMedia(t.Context()))
	if n, c := mediaRows(t, j, "media"), mediaRows(t, j, "chunks"); n != 1 || c != 1 {
		t.Errorf("%d files and %d chunks are left", n, c)
	}
}

// TestMediaDamaged: a media database that cannot be read takes nothing else with it, and is used again once
// it is mended.
func TestMediaDamaged(t *testing.T) {
	t.Parallel()
	c := newClock()
	dir := filepath.Join(t.TempDir(), "wechat")
	noErr(t, os.MkdirAll(dir, 0o700))
	file := filepath.Join(dir, mediaName)
	noErr(t, os.WriteFile(file, bytes.Repeat([]byte("no database "), 1000), 0o600))
	j := testOpen(t, Config{Dir: dir, Now: c.Now})
	_, err := j.PutMedia(t.Context(), Media{Account: "app", Name: "f"}, bytes.NewReader([]byte("x")))
	if !errors.Is(err, ErrDamaged) || !errors.Is(err, ErrUnavailable) {
		t.Errorf("putting: %v", err)
	}
	if _, _, err := j.Media(t.Context(), "app", "f"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("finding: %v", err)
	}
	if err := j.ForgetMedia(t.Context(), "app", "u", c.Now()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("forgetting: %v", err)
	}
	push(t, j, "u", "k")
	_, err = j.Prune(t.Context())
	noErr(t, err)
	noErr(t, os.Remove(file))
	if _, err := j.PutMedia(t.Context(), Media{Account: "app", Name: "f"}, bytes.NewReader(nil)); err == nil {
		t.Error("it was looked at again at once")
	}
	c.Add(mediaRest)
	put(t, j, "u", "f", []byte("x"))
}

// TestMediaBeside: while a large file is written, messages do not wait for it.
func TestMediaBeside(t *testing.T) {
	t.Parallel()
	j := testOpen(t, Config{})
	more := make(chan struct{})
	wait := readFunc(func() { <-more })
	done := make(chan error, 1)
	go func() {
		_, err := j.PutMedia(t.Context(), Media{Account: "app", Name: "f"}, io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), wait))
		done <- err
	}()
	push(t, j, "u", "k") // would wait for ever, were a transaction open meanwhile
	if _, found, err := j.Media(t.Context(), "app", "f"); found || err != nil {
		t.Errorf("an unfinished file was found (%v)", err)
	}
	close(more)
	<-done
}

// TestMediaClosed: what comes after Close is told so.
func TestMediaClosed(t *testing.T) {
	t.Parallel()
	j := testOpen(t, Config{})
	m := put(t, j, "u", "f", film(1, 100))
	r, err := j.ReadMedia(t.Context(), m)
	noErr(t, err)
	noErr(t, j.Close())
	if _, err := j.PutMedia(t.Context(), Media{Account: "app", Name: "g"}, bytes.NewReader(nil)); !errors.Is(err, ErrClosed) {
		t.Errorf("putting: %v", err)
	}
	if _, err := io.ReadAll(r); err == nil {
		t.Error("it was read")
	}
}

// TestClaimState: the first who claims a name is heard by all.
func TestClaimState(t *testing.T) {
	t.Parallel()
	j := testOpen(t, Config{})
	for _, value := range []string{"first", "second"} {
		held, err := j.ClaimState(t.Context(), "app", "key", value)
		if err != nil || held != "first" {
			t.Errorf("%s: %q, %v", value, held, err)
		}
	}
}

// TestProfile: what was told of a user is kept until the user leaves.
func TestProfile(t *testing.T) {
	t.Parallel()
	j := testOpen(t, Config{})
	noErr(t, j.PutUser(t.Context(), User{Account: "app", OpenID: "u", Conversation: "c", Bot: "b"}))
	noErr(t, j.SetProfile(t.Context(), "app", "u", `{"a":1}`, time.Unix(5, 0)))
	noErr(t, j.PutUser(t.Context(), User{Account: "app", OpenID: "u", Conversation: "c", Bot: "b2"}))
	if u, _, err := j.User(t.Context(), "app", "u"); err != nil || u.Profile != `{"a":1}` {
		t.Errorf("profile %q, %v", u.Profile, err)
	}
	leaves(t, j, "u", time.Unix(9, 0))
	for at, want := range map[int64]string{9: "", 10: "new"} {
		noErr(t, j.SetProfile(t.Context(), "app", "u", "new", time.Unix(at, 0)))
		if u, _, err := j.User(t.Context(), "app", "u"); err != nil || u.Profile != want {
			t.Errorf("profile %q after a push at %d, %v", u.Profile, at, err)
		}
		leaves(t, j, "u", time.Unix(9, 0))
	}
}
