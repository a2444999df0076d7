package mediafile

import (
	"encoding/binary"
	"errors"
	"testing"
)

func box(kind string, parts ...[]byte) []byte {
	body := join(parts...)
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(body))), kind...), body...)
}

func ftyp(major string, compatible ...string) []byte {
	body := []byte(major + "\x00\x00\x02\x00")
	for _, c := range compatible {
		body = append(body, c...)
	}
	return box("ftyp", body)
}

func moov(handler string) []byte {
	return box("moov", box("mvhd", make([]byte, 100)), box("trak", box("tkhd", make([]byte, 80)), box("mdia", box("hdlr", make([]byte, 8), []byte(handler), make([]byte, 13)))))
}

// large is a box with a size of 64 bits.
func large(kind string, body []byte) []byte {
	out := append(binary.BigEndian.AppendUint32(nil, 1), kind...)
	return append(binary.BigEndian.AppendUint64(out, uint64(16+len(body))), body...)
}

// open is a box that goes on to the end of the file.
func open(kind string, body []byte) []byte {
	return append(append(make([]byte, 4), kind...), body...)
}

func TestVideo(t *testing.T) {
	t.Parallel()
	endless := join(ftyp("isom"), large("mdat", nil))
	binary.BigEndian.PutUint64(endless[len(endless)-8:], 1<<63)
	for _, tc := range []struct {
		name string
		data []byte
		err  error
	}{
		{"from ffmpeg", fixture(t, "video.mp4"), nil},
		{"version 2", join(ftyp("mp42"), box("mdat"), moov("vide")), nil},
		{"compatible", join(ftyp("XAVC", "XAVC", "mp42"), moov("vide")), nil},
		{"3GPP that is MP4 too", join(ftyp("3gp4", "isom", "3gp4"), moov("vide")), nil},
		{"QuickTime that is MP4 too", join(ftyp("qt  ", "qt  ", "mp42"), moov("vide")), nil},
		{"sound first", join(ftyp("isom"), box("moov", moov("soun")[8:], moov("vide")[8:])), nil},
		{"in large boxes", join(ftyp("isom"), large("mdat", make([]byte, 9)), large("moov", moov("vide")[8:])), nil},
		{"open at the end", join(ftyp("isom"), moov("vide"), open("mdat", make([]byte, 99))), nil},
		{"index open at the end", join(ftyp("isom"), box("mdat"), open("moov", moov("vide")[8:])), nil},
		{"of the limit", join(ftyp("isom"), moov("vide"), open("mdat", make([]byte, VideoLimit-16-len(moov("vide"))-8))), nil},
		{"too large", join(ftyp("isom"), moov("vide"), open("mdat", make([]byte, VideoLimit))), ErrTooLarge},
		{"QuickTime from ffmpeg", fixture(t, "video.mov"), ErrFormat},
		{"M4A from ffmpeg", fixture(t, "sound.m4a"), ErrFormat},
		{"MP4 of sound only", fixture(t, "sound.mp4"), ErrFormat},
		{"AVIF from ffmpeg", fixture(t, "still.avif"), ErrFormat},
		{"HEIC", join(ftyp("heic", "mif1", "heic", "isom"), moov("vide")), ErrFormat},
		{"3GPP only", join(ftyp("3gp4", "3gp4"), moov("vide")), ErrFormat},
		{"QuickTime without a brand", moov("vide"), ErrFormat},
		{"no tracks", join(ftyp("isom"), box("moov", box("mvhd"))), ErrFormat},
		{"no index", join(ftyp("isom"), box("mdat", moov("vide"))), ErrFormat},
		{"endless", endless, ErrFormat},
		{"cut in the brands", ftyp("isom")[:14], ErrFormat},
		{"cut in the index", join(ftyp("isom"), moov("vide")[:150]), ErrFormat},
		{"box of no size", join(ftyp("isom"), []byte("\x00\x00\x00\x04free"), moov("vide")), ErrFormat},
		{"nothing", nil, ErrFormat},
		{"picture", fixture(t, "lossy.webp"), ErrFormat},
		{"WebM", []byte("\x1a\x45\xdf\xa3\x01\x00\x00\x00\x00\x00\x00\x23\x42\x86\x81\x01webm"), ErrFormat},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			name, err := Video(tc.data)
			if !errors.Is(err, tc.err) || (err == nil) != (name == "video.mp4") {
				t.Errorf("%q, %v, want %v", name, err, tc.err)
			}
		})
	}
}

func FuzzVideo(f *testing.F) {
	f.Add(fixture(f, "video.mp4"))
	f.Add(fixture(f, "still.avif"))
	f.Add(join(ftyp("isom"), large("mdat", make([]byte, 9)), moov("vide")))
	f.Add(join(ftyp("isom"), moov("vide"), open("mdat", nil)))
	f.Fuzz(func(t *testing.T, data []byte) {
		name, err := Video(data)
		if (name == "") != (err != nil) {
			t.Fatalf("%q, %v", name, err)
		}
	})
}
