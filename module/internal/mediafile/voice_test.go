package mediafile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// amr is a recording of n frames of a type.
func amr(kind byte, n int) []byte {
	frame := make([]byte, amrFrames[kind])
	frame[0] = kind<<3 | 4
	return append([]byte("#!AMR\n"), bytes.Repeat(frame, n)...)
}

// mp3 is n frames with the last two bytes of the header as given: MPEG 1, 44.1
// kHz, without checksum.
func mp3(bitRate byte, n int) []byte {
	head := []byte{0xff, 0xfb, bitRate << 4, 0xc4}
	f, ok := parseMP3Frame(head)
	if !ok {
		panic("no frame")
	}
	return bytes.Repeat(append(head, make([]byte, f.size-len(head))...), n)
}

func id3(size int, flags byte) []byte {
	head := []byte{'I', 'D', '3', 4, 0, flags, byte(size >> 21 & 127), byte(size >> 14 & 127), byte(size >> 7 & 127), byte(size & 127)}
	out := append(head, bytes.Repeat([]byte{0xff, 0xfb, 0x90}, size/3+1)[:size]...) // a tag that looks like frames
	if flags&0x10 != 0 {
		out = append(out, "3DI\x04\x00\x10\x00\x00\x00\x00"...)
	}
	return out
}

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

func TestVoice(t *testing.T) {
	t.Parallel()
	table := mp3(9, 1)
	copy(table[4+32:], "Xing")
	for _, tc := range []struct {
		name, want string
		data       []byte
		err        error
	}{
		{"AMR", "voice.amr", amr(7, 100), nil},
		{"AMR of the lowest rate", "voice.amr", amr(0, 100), nil},
		{"AMR of silence", "voice.amr", amr(15, 100), nil},
		{"AMR of 60 s", "voice.amr", amr(7, 3000), nil},
		{"AMR, too long", "", amr(7, 3001), ErrTooLong},
		{"AMR of silence, too long", "", amr(15, 3001), ErrTooLong},
		{"AMR, cut in a frame", "voice.amr", amr(7, 3000)[:3000*32], nil},
		{"AMR without frames", "", []byte("#!AMR\n"), ErrFormat},
		{"AMR with nonsense", "", append(amr(7, 3), 0xff, 0x4f), ErrFormat},
		{"AMR of a reserved type", "", []byte("#!AMR\n\x4c\x00\x00"), ErrFormat},
		{"AMR, wide band", "", append([]byte("#!AMR-WB\n"), amr(7, 100)[6:]...), ErrFormat},
		{"AMR, many channels", "", []byte("#!AMR_MC1.0\n\x00\x00\x00\x02"), ErrFormat},
		{"AMR, nearly", "", []byte("#!AMR"), ErrFormat},
		{"MP3", "voice.mp3", mp3(9, 100), nil},
		{"MP3 of one frame", "voice.mp3", mp3(9, 1), nil},
		{"MP3 of just 60 s", "voice.mp3", mp3(5, 2296), nil},
		{"MP3, too long", "", mp3(5, 2297), ErrTooLong},
		{"MP3 of just 60 s with a table", "voice.mp3", join(table, mp3(5, 2296)), nil},
		{"MP3, too large", "", mp3(14, 2010), ErrTooLarge},
		{"MP3, made large by a tag", "", join(id3(VoiceLimit, 0), mp3(9, 10)), ErrTooLarge},
		{"MP3 with tags", "voice.mp3", join(id3(300, 0x10), id3(5000, 0), mp3(5, 2296), []byte("TAG"), make([]byte, 125)), nil},
		{"MP3 after padding", "voice.mp3", join(make([]byte, 1000), mp3(9, 100)), nil},
		{"MP3 of one frame and a tag", "voice.mp3", join(mp3(9, 1), []byte("TAG"), make([]byte, 125)), nil},
		{"MP3 from lame", "voice.mp3", fixture(t, "cbr.mp3"), nil},
		{"MP3 from lame, variable", "voice.mp3", fixture(t, "vbr.mp3"), nil},
		{"frames that do not belong together", "", join(mp3(9, 1), []byte{0xff, 0xfb, 0x94, 0xc4}, make([]byte, 1000)), ErrFormat},
		{"MP3 of a table only", "", table, ErrFormat},
		{"tag only", "", id3(5000, 0), ErrFormat},
		{"tag, cut", "", id3(5000, 0)[:300], ErrFormat},
		{"layer II", "", bytes.Repeat(append([]byte{0xff, 0xfd, 0x90, 0xc4}, make([]byte, 413)...), 10), ErrFormat},
		{"free bit rate", "", bytes.Repeat(append([]byte{0xff, 0xfb, 0x00, 0xc4}, make([]byte, 413)...), 10), ErrFormat},
		{"nothing", "", nil, ErrFormat},
		{"text", "", []byte("s3cret"), ErrFormat},
		{"picture", "", fixture(t, "lossy.webp"), ErrFormat},
		{"M4A", "", fixture(t, "sound.m4a"), ErrFormat},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			name, err := Voice(tc.data)
			if name != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("%q, %v, want %q, %v", name, err, tc.want, tc.err)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error quotes the content: %v", err)
			}
		})
	}
}

// TestMP3Length compares with what ffprobe tells of files that lame made: 23
// frames of 72 ms, after a table of contents.
func TestMP3Length(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"cbr.mp3", "vbr.mp3"} {
		if got, err := mp3Length(fixture(t, name)); err != nil || got != 1656*time.Millisecond {
			t.Errorf("%s: %v, %v, want 1.656s", name, got, err)
		}
	}
	for head, want := range map[uint32]mp3Frame{
		0xfffb90c4: {417, 1152, 44100}, // MPEG 1, 128 kbit/s
		0xfffb92c4: {418, 1152, 44100}, // with padding
		0xfffbe444: {960, 1152, 48000}, // 320 kbit/s
		0xfff384c4: {192, 576, 24000},  // MPEG 2, 64 kbit/s
		0xffe318c4: {72, 576, 8000},    // MPEG 2.5, 8 kbit/s
	} {
		if got, ok := parseMP3Frame(binary.BigEndian.AppendUint32(nil, head)); !ok || got != want {
			t.Errorf("%#x: %+v, %v, want %+v", head, got, ok, want)
		}
	}
	for _, head := range []uint32{0xfffb9cc4, 0xfffbf0c4, 0xffeb90c4, 0xfff990c4, 0xfedb90c4, 0xff1b90c4} {
		if got, ok := parseMP3Frame(binary.BigEndian.AppendUint32(nil, head)); ok {
			t.Errorf("%#x is taken for %+v", head, got)
		}
	}
}

func FuzzVoice(f *testing.F) {
	f.Add(amr(7, 3))
	f.Add(amr(15, 3))
	f.Add(mp3(9, 3))
	f.Add(join(id3(50, 0x10), mp3(1, 3), []byte("TAG")))
	f.Add(fixture(f, "cbr.mp3"))
	f.Fuzz(func(t *testing.T, data []byte) {
		name, err := Voice(data)
		if (name == "") != (err != nil) {
			t.Fatalf("%q, %v", name, err)
		}
		for kind, length := range map[string]func([]byte) (time.Duration, error){"AMR": amrLength, "MP3": mp3Length} {
			got, err := length(data)
			if (got > 0) != (err == nil) {
				t.Fatalf("%s: %v, %v", kind, got, err)
			}
			// No frame is shorter than 20 ms of AMR in one byte.
			if got > time.Duration(math.Max(1, float64(len(data))))*72*time.Millisecond {
				t.Fatalf("%s: %d bytes play %v", kind, len(data), got)
			}
		}
	})
}
