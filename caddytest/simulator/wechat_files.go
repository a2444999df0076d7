package simulator

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"sync"
	"time"
)

// wcSniff tells a file's type by its first bytes.
func wcSniff(data []byte) (contentType string, known bool) {
	has := func(prefix string) bool { return bytes.HasPrefix(data, []byte(prefix)) }
	switch {
	case has("\x89PNG\r\n\x1a\n"):
		return "image/png", true
	case has("\xff\xd8\xff"):
		return "image/jpeg", true
	case has("GIF87a"), has("GIF89a"):
		return "image/gif", true
	case has("#!AMR\n"), has("#!AMR-WB\n"):
		return "audio/amr", true
	case has("ID3"), len(data) > 1 && data[0] == 0xff && data[1]&0xe6 == 0xe2:
		return "audio/mpeg", true
	case has("OggS"):
		return "audio/ogg", true
	case has("\x1a\x45\xdf\xa3"):
		return "video/webm", true
	case len(data) > 11 && string(data[:4]) == "RIFF" && string(data[8:12]) == "WAVE":
		return "audio/wav", true
	case len(data) > 11 && string(data[:4]) == "RIFF" && string(data[8:12]) == "WEBP":
		return "image/webp", true
	case len(data) > 11 && string(data[4:8]) == "ftyp":
		return "video/mp4", true
	}
	return "application/octet-stream", false
}

// wcAMRFrame is the size of a narrow-band frame by its type, header included. Each plays 20 ms.
var wcAMRFrame = [16]int{13, 14, 16, 18, 20, 21, 27, 32, 6, 1, 1, 1, 1, 1, 1, 1}

// wcPlays tells how long an AMR-NB or MP3 file plays; 0 for everything else.
func wcPlays(contentType string, data []byte) time.Duration {
	switch {
	case contentType == "audio/amr" && bytes.HasPrefix(data, []byte("#!AMR\n")):
		n := 0
		for i := len("#!AMR\n"); i < len(data); n++ {
			i += wcAMRFrame[data[i]>>3&15]
		}
		return time.Duration(n) * 20 * time.Millisecond
	case contentType == "audio/mpeg":
		return wcPlaysMP3(data)
	}
	return 0
}

var (
	wcMP3Rate1 = [16]int{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0} // kbit/s, MPEG 1
	wcMP3Rate2 = [16]int{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0}     // MPEG 2 and 2.5
	wcMP3Hertz = [4]int{44100, 48000, 32000, 0}
)

// wcPlaysMP3 adds up the layer III frames.
func wcPlaysMP3(data []byte) (d time.Duration) {
	i := 0
	if len(data) > 10 && string(data[:3]) == "ID3" {
		i = 10 + int(data[6])<<21 + int(data[7])<<14 + int(data[8])<<7 + int(data[9])
	}
	for i+4 <= len(data) {
		h := binary.BigEndian.Uint32(data[i:])
		version := h >> 19 & 3 // 3 = MPEG 1, 2 = MPEG 2, 0 = MPEG 2.5
		hertz := wcMP3Hertz[h>>10&3]
		rates, samples := &wcMP3Rate2, 576
		switch version {
		case 3:
			rates, samples = &wcMP3Rate1, 1152
		case 2:
			hertz /= 2
		default:
			hertz /= 4
		}
		kbit := rates[h>>12&15]
		if h>>21 != 0x7ff || h>>17&3 != 1 || kbit == 0 || hertz == 0 {
			i++
			continue
		}
		i += samples/8*kbit*1000/hertz + int(h>>9&1)
		d += time.Duration(samples) * time.Second / time.Duration(hertz)
	}
	return d
}

// wcPicture is a small PNG, another one for every seed.
func wcPicture(seed int64) []byte {
	const side = 24
	img := image.NewNRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			bit := uint((y*side + x) % 64)
			shade := uint8(80 + 120*(seed>>bit&1))
			img.SetNRGBA(x, y, color.NRGBA{R: shade, G: uint8(x * 10), B: uint8(y * 10), A: 255})
		}
	}
	var b bytes.Buffer
	enc := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := enc.Encode(&b, img); err != nil {
		panic(err) // a buffer takes everything
	}
	return b.Bytes()
}

// wcThumb is a small JPEG.
var wcThumb = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 16, 16)), nil); err != nil {
		panic(err)
	}
	return b.Bytes()
})

// wcSilence is an AMR-NB file of n frames of silence, 20 ms each.
func wcSilence(n int) []byte {
	frame := append([]byte{0x3c}, make([]byte, 31)...)
	return append([]byte("#!AMR\n"), bytes.Repeat(frame, n)...)
}

// wcFilm is the least that passes for an MP4 file.
func wcFilm() []byte {
	return []byte("\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom\x00\x00\x00\x08mdat")
}
