package mediafile

import (
	"bytes"
	"encoding/binary"
	"image/color"
)

// exifMark begins the APP1 segment that holds EXIF.
var exifMark = []byte("Exif\x00\x00")

const (
	markSOF0  = 0xc0 // baseline
	markSOF2  = 0xc2 // progressive
	markSOS   = 0xda // the scan begins: no more headers
	markAPP1  = 0xe1 // EXIF, perhaps
	markAPP14 = 0xee // Adobe's, which may say that the colours are RGB

	adobeTransform = 11 // its offset in APP14
)

// measureJPEG walks the segments up to the first scan, for the layout of the
// planes and for EXIF. A layout that it does not find is taken for the dearest.
func measureJPEG(h *header, _ color.Model, data []byte) {
	frame, rgb := layout{perPixel: dearest, copied: true}, false
	for at := 2; at+4 <= len(data) && data[at] == 0xff; {
		mark := data[at+1]
		if mark == 0xff { // padding
			at++
			continue
		}
		size := int(binary.BigEndian.Uint16(data[at+2:]))
		if size < 2 || at+2+size > len(data) || mark == markSOS {
			break
		}
		body := data[at+4 : at+2+size]
		switch {
		case mark >= markSOF0 && mark <= markSOF2:
			frame = readFrame(body, mark == markSOF2)
		case mark == markAPP1 && bytes.HasPrefix(body, exifMark):
			h.turn = orientationOf(body[len(exifMark):])
		case mark == markAPP14 && len(body) > adobeTransform:
			rgb = rgb || body[adobeTransform] == 0
		}
		at += 2 + size
	}
	// Planes are made of whole units of up to 32 by 32 pixels.
	padded := (int64(h.width) + 31) &^ 31 * ((int64(h.height) + 31) &^ 31)
	h.cost = int64(frame.perPixel * float64(padded))
	if rgb || frame.copied {
		h.cost += 4 * h.pixels()
	}
}

// dearest is what the decoder takes for a pixel at most: four whole planes, and
// of each its coefficients, which are int32.
const dearest = 4 * (1 + 4)

// layout is what a JPEG's frame header tells.
type layout struct {
	perPixel float64 // bytes
	copied   bool    // converted to interleaved colours in the end
}

func readFrame(sof []byte, progressive bool) layout {
	const fixed, component = 6, 3
	if len(sof) < fixed || sof[5] < 1 || sof[5] > 4 || len(sof) < fixed+component*int(sof[5]) {
		return layout{perPixel: dearest, copied: true}
	}
	n := int(sof[5])
	sampling := func(i int) float64 {
		hv := sof[fixed+component*i+1]
		return float64(max(hv>>4, 1)) * float64(max(hv&15, 1))
	}
	var l layout
	ids := make([]byte, n)
	for i := range n {
		ids[i] = sof[fixed+component*i]
		l.perPixel += sampling(i) / sampling(0)
	}
	if progressive {
		l.perPixel *= 1 + 4
	}
	l.copied = n == 4 || string(ids) == "RGB"
	return l
}
