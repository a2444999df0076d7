package mediafile

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"github.com/gabriel-vasile/mimetype"
	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"
)

// format is a kind of picture.
type format struct {
	// name is what to call a file that WeChat takes as it is, empty if it takes none.
	name string
	// alpha: what is transparent is worth an attempt as PNG when encoded anew.
	alpha  bool
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
	// measure completes a header whose dimensions are known.
	measure func(h *header, model color.Model, data []byte)
}

var formats = map[string]format{
	"image/png":  {"image.png", true, png.DecodeConfig, png.Decode, measurePNG},
	"image/jpeg": {"image.jpg", false, jpeg.DecodeConfig, jpeg.Decode, measureJPEG},
	"image/gif":  {"image.gif", false, gif.DecodeConfig, gif.Decode, measureGIF},
	"image/webp": {"", true, webp.DecodeConfig, webp.Decode, measureWebP},
	"image/bmp":  {"", true, bmp.DecodeConfig, bmp.Decode, measureBMP},
	"image/tiff": {"", true, tiff.DecodeConfig, tiff.Decode, measureTIFF},
}

// header is what is known of a picture before it is decoded.
type header struct {
	format        format
	width, height int
	// cost is an upper estimate of the bytes that the decoder takes.
	cost int64
	turn orientation
}

// inspect reads the header and refuses what is no picture, or a decompression
// bomb. Errors of the decoders are not passed on: they can quote the content.
func inspect(data []byte) (header, error) {
	kind := mimetype.Detect(data)
	h := header{turn: upright}
	for m := kind; m != nil && h.format.decode == nil; m = m.Parent() { // an animated PNG is a PNG
		h.format = formats[m.String()]
	}
	if h.format.decode == nil {
		return h, fmt.Errorf("%w: the content is %s", ErrFormat, kind)
	}
	c, err := h.format.config(bytes.NewReader(data))
	if err != nil || c.Width <= 0 || c.Height <= 0 {
		return h, fmt.Errorf("%w: not a readable %s", ErrFormat, kind)
	}
	h.width, h.height = c.Width, c.Height
	if c.Width > maxSide || c.Height > maxSide || int64(c.Width)*int64(c.Height) > maxPixels {
		return h, fmt.Errorf("%w: %d by %d", ErrDimensions, c.Width, c.Height)
	}
	h.format.measure(&h, c.ColorModel, data)
	return h, nil
}

func (h *header) pixels() int64 { return int64(h.width) * int64(h.height) }

func measurePNG(h *header, _ color.Model, data []byte) {
	const depth, interlace = 24, 28 // offsets in the file: IHDR comes first
	h.cost = 4 * h.pixels()
	if len(data) > interlace && data[depth] == 16 {
		h.cost *= 2
	}
	if len(data) > interlace && data[interlace] != 0 {
		h.cost *= 2 // each pass is a picture of its own
	}
}

func measureGIF(h *header, _ color.Model, _ []byte) { h.cost = 2 * h.pixels() } // interlaced: another copy

func measureBMP(h *header, _ color.Model, _ []byte) { h.cost = 4 * h.pixels() }

// measureTIFF reckons with blocks as large as the
// picture, which the decoder lets inflate to 8 bytes a pixel.
func measureTIFF(h *header, model color.Model, data []byte) {
	h.cost = (4 + 8) * h.pixels()
	if model == color.RGBA64Model || model == color.NRGBA64Model {
		h.cost += 4 * h.pixels()
	}
	h.turn = orientationOf(data)
}

// measureWebP reckons with the lossless kind, whose transforms need a copy, with
// alpha decoded on the side, and with its Huffman trees.
func measureWebP(h *header, _ color.Model, data []byte) {
	h.cost = 12*h.pixels() + 32<<20
	const riff, chunk = 12, 8
	for at := riff; at+chunk <= len(data); {
		size := int64(data[at+4]) | int64(data[at+5])<<8 | int64(data[at+6])<<16 | int64(data[at+7])<<24
		body := data[at+chunk:]
		if size > int64(len(body)) {
			return
		}
		if string(data[at:at+4]) == "EXIF" {
			h.turn = orientationOf(bytes.TrimPrefix(body[:size], exifMark))
			return
		}
		at += chunk + int(size+size%2)
	}
}
