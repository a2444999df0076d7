package simulator

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

// bpMediaFiles are the files below /media, made when first asked for.
var bpMediaFiles = map[string]func() (kind string, data []byte){
	"picture.png":  sync.OnceValues(func() (string, []byte) { return "image/png", bpPNG() }),
	"photo.jpg":    sync.OnceValues(func() (string, []byte) { return "image/jpeg", bpJPEG() }),
	"sound.mp3":    sync.OnceValues(func() (string, []byte) { return "audio/mpeg", bpMP3(2 * time.Second) }),
	"clip.mp4":     sync.OnceValues(func() (string, []byte) { return "video/mp4", bpMP4() }),
	"document.pdf": sync.OnceValues(func() (string, []byte) { return "application/pdf", bpPDF() }),
}

// bpServeMedia serves a file, with HEAD and ranges.
func bpServeMedia(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	file := bpMediaFiles[name]
	if file == nil {
		http.NotFound(w, r)
		return
	}
	kind, data := file()
	w.Header().Set("Content-Type", kind)
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(data))
}

// bpPicture is a colour gradient, so that a converted copy can be told from an empty one.
func bpPicture() image.Image {
	const width, height = 320, 240
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			m.Set(x, y, color.RGBA{uint8(x * 255 / width), uint8(y * 255 / height), 160, 255})
		}
	}
	return m
}

func bpPNG() []byte {
	var buf bytes.Buffer
	if err := png.Encode(&buf, bpPicture()); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

func bpJPEG() []byte {
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, bpPicture(), nil); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

// bpMP3 is silence: MPEG-1 Layer III frames at 128 kbit/s and 44.1 kHz with nothing in them.
func bpMP3(length time.Duration) []byte {
	const frameSize = 417 // 144 * bitrate / sample rate
	frame := make([]byte, frameSize)
	copy(frame, []byte{0xFF, 0xFB, 0x90, 0xC4}) // layer III, no CRC; 128k, 44.1k, no padding; mono
	frames := int(length.Seconds() * 44100 / 1152)
	return bytes.Repeat(frame, frames)
}

// bpPDF is one empty page.
func bpPDF() []byte {
	var buf bytes.Buffer
	offsets := make([]int, 0, 3)
	buf.WriteString("%PDF-1.4\n")
	for i, object := range []string{
		"<</Type/Catalog/Pages 2 0 R>>",
		"<</Type/Pages/Kids[3 0 R]/Count 1>>",
		"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>",
	} {
		offsets = append(offsets, buf.Len())
		fmt.Fprintf(&buf, "%d 0 obj%sendobj\n", i+1, object)
	}
	start := buf.Len()
	var rows strings.Builder
	for _, o := range offsets {
		fmt.Fprintf(&rows, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&buf, "xref\n0 4\n0000000000 65535 f \n%strailer<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", rows.String(), start)
	return buf.Bytes()
}
