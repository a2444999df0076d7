package mediafile

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/bits"
	"math/rand/v2"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

// noise is a picture that cannot be compressed, half transparent if asked for.
func noise(w, h int, alpha uint8) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	r := rand.New(rand.NewPCG(1, 2))
	for i := 0; i < len(img.Pix); i += 4 {
		binary.LittleEndian.PutUint32(img.Pix[i:], r.Uint32())
		img.Pix[i+3] = alpha
	}
	return img
}

// quarters is a picture of four colours: red, green / blue, white.
func quarters(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := [4]color.NRGBA{{255, 0, 0, 255}, {0, 255, 0, 255}, {0, 0, 255, 255}, {255, 255, 255, 255}}[2*y/h*2+2*x/w]
			img.SetNRGBA(x, y, c)
		}
	}
	return img
}

func encoded(t testing.TB, kind string, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	var err error
	switch kind {
	case "png":
		err = (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, img)
	case "jpeg":
		err = jpeg.Encode(&b, img, &jpeg.Options{Quality: 100})
	case "gif":
		err = gif.Encode(&b, img, &gif.Options{NumColors: 256})
	case "bmp":
		err = bmp.Encode(&b, img)
	case "tiff":
		err = tiff.Encode(&b, img, nil)
	case "deflated tiff":
		err = tiff.Encode(&b, img, &tiff.Options{Compression: tiff.Deflate})
	case "webp":
		return losslessWebP(img.(*image.NRGBA))
	default:
		t.Fatalf("kind %s", kind)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// bitWriter writes bits the way lossless WebP reads them: lowest first.
type bitWriter struct {
	out  []byte
	have uint64
	n    int
}

func (w *bitWriter) put(v uint64, n int) {
	w.have |= v << w.n
	for w.n += n; w.n >= 8; w.n -= 8 {
		w.out = append(w.out, byte(w.have))
		w.have >>= 8
	}
}

// losslessWebP stores img uncompressed as WebP: each channel of each pixel in a
// Huffman code of 8 bits, which is the value itself.
func losslessWebP(img *image.NRGBA) []byte {
	var w bitWriter
	w.put(0x2f, 8)
	w.put(uint64(img.Rect.Dx()-1), 14)
	w.put(uint64(img.Rect.Dy()-1), 14)
	w.put(1, 1) // alpha is used
	w.put(0, 3) // version
	w.put(0, 3) // no transform, no colour cache, one group of codes
	for _, lengthCodes := range []int{24, 0, 0, 0} {
		w.put(0, 1)  // a normal code, whose lengths are coded themselves
		w.put(8, 4)  // by 12 lengths, in an order of their own:
		w.put(0, 6)  // none for repeating,
		w.put(1, 3)  // one bit for "0",
		w.put(0, 24) // and none for the others
		w.put(1, 3)  // but "8"
		w.put(0, 1)  // and all symbols follow
		for range 256 {
			w.put(1, 1)
		}
		w.put(0, lengthCodes)
	}
	w.put(1, 4) // distances: a simple code of one symbol, 0
	for i := 0; i < len(img.Pix); i += 4 {
		for _, c := range []int{1, 0, 2, 3} {
			w.put(uint64(bits.Reverse8(img.Pix[i+c])), 8)
		}
	}
	w.put(0, 7) // the last byte
	return riff("VP8L", w.out)
}

func riff(kind string, body []byte) []byte {
	out := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(4+8+len(body)+len(body)%2))
	out = append(out, "WEBP"+kind...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(body)))
	return append(append(out, body...), make([]byte, len(body)%2)...)
}

// withEXIF puts an orientation into a JPEG, in the byte order given.
func withEXIF(data []byte, o orientation, order binary.AppendByteOrder) []byte {
	head := "II*\x00"
	if order.String() == binary.BigEndian.String() {
		head = "MM\x00*"
	}
	body := append([]byte("Exif\x00\x00"), head...)
	body = order.AppendUint32(body, 8)
	body = order.AppendUint16(body, 2)
	for _, e := range [][2]uint16{{0x010f, 7}, {0x0112, uint16(o)}} {
		body = order.AppendUint16(body, e[0])
		body = order.AppendUint16(body, 3)
		body = order.AppendUint32(body, 1)
		body = order.AppendUint16(body, e[1])
		body = order.AppendUint16(body, 0)
	}
	body = order.AppendUint32(body, 0)
	out := append([]byte{}, data[:2]...)
	out = append(out, 0xff, 0xff, markAPP1) // with a byte of padding
	out = binary.BigEndian.AppendUint16(out, uint16(2+len(body)))
	return append(append(out, body...), data[2:]...)
}

// animation is a GIF of noise in so many frames.
func animation(t testing.TB, w, h, frames int) []byte {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	palette := make(color.Palette, 256)
	for i := range palette {
		palette[i] = color.RGBA{uint8(i), uint8(255 - i), 128, 255}
	}
	var g gif.GIF
	for range frames {
		p := image.NewPaletted(image.Rect(0, 0, w, h), palette)
		for i := range p.Pix {
			p.Pix[i] = uint8(r.Uint32())
		}
		g.Image, g.Delay = append(g.Image, p), append(g.Delay, 10)
	}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, &g); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// resized changes the dimensions that a picture of small size claims to have.
func resized(t testing.TB, kind string, w, h uint32) []byte {
	t.Helper()
	data := encoded(t, kind, quarters(8, 8))
	switch kind {
	case "png":
		binary.BigEndian.PutUint32(data[16:], w)
		binary.BigEndian.PutUint32(data[20:], h)
		rechecked(data)
	case "gif":
		binary.LittleEndian.PutUint16(data[6:], uint16(w))
		binary.LittleEndian.PutUint16(data[8:], uint16(h))
	case "bmp":
		binary.LittleEndian.PutUint32(data[18:], w)
		binary.LittleEndian.PutUint32(data[22:], h)
	case "jpeg":
		sof := bytes.Index(data, []byte{0xff, 0xc0})
		binary.BigEndian.PutUint16(data[sof+5:], uint16(h))
		binary.BigEndian.PutUint16(data[sof+7:], uint16(w))
	case "webp":
		binary.LittleEndian.PutUint32(data[21:], w-1|(h-1)<<14|1<<28)
	case "tiff":
		dir := binary.LittleEndian.Uint32(data[4:]) + 2
		for ; ; dir += 12 {
			switch binary.LittleEndian.Uint16(data[dir:]) {
			case 256:
				binary.LittleEndian.PutUint32(data[dir+8:], w)
			case 257:
				binary.LittleEndian.PutUint32(data[dir+8:], h)
				return data
			}
		}
	}
	return data
}

// rechecked mends the checksum of a PNG's header.
func rechecked(data []byte) []byte {
	binary.BigEndian.PutUint32(data[29:], crc32.ChecksumIEEE(data[12:29]))
	return data
}
