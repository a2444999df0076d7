package mediafile

import (
	"encoding/binary"
	"image"
)

// orientation is EXIF's: how a picture has to be turned to stand upright.
type orientation uint16

const (
	upright        orientation = 1
	mirrored       orientation = 2
	upsideDown     orientation = 3
	mirroredDown   orientation = 4
	transposed     orientation = 5
	turnRight      orientation = 6 // by 90 degrees, clockwise
	transposedDown orientation = 7
	turnLeft       orientation = 8
)

// orientationOf reads the orientation from the first directory of a TIFF
// structure, which EXIF is. What cannot be read is upright.
func orientationOf(tiff []byte) orientation {
	const head, entry, tagOrientation, typeShort = 8, 12, 0x0112, 3
	if len(tiff) < head {
		return upright
	}
	var order binary.ByteOrder
	switch string(tiff[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return upright
	}
	at := uint64(order.Uint32(tiff[4:]))
	if at+2 > uint64(len(tiff)) {
		return upright
	}
	dir := tiff[at+2:]
	for n := order.Uint16(tiff[at:]); n > 0 && len(dir) >= entry; n-- {
		if order.Uint16(dir) == tagOrientation {
			o := orientation(order.Uint16(dir[8:]))
			if order.Uint16(dir[2:]) == typeShort && o >= upright && o <= turnLeft {
				return o
			}
			return upright
		}
		dir = dir[entry:]
	}
	return upright
}

// turn returns img upright.
func turn(img *image.RGBA, o orientation) *image.RGBA {
	if o == upright {
		return img
	}
	w, h := img.Rect.Dx(), img.Rect.Dy()
	out := image.Rect(0, 0, w, h)
	if o >= transposed {
		out = image.Rect(0, 0, h, w)
	}
	dst := image.NewRGBA(out)
	for y := range out.Dy() {
		for x := range out.Dx() {
			sx, sy := o.source(x, y, w, h)
			copy(dst.Pix[dst.PixOffset(x, y):][:4], img.Pix[img.PixOffset(sx, sy):][:4])
		}
	}
	return dst
}

// source tells which pixel of a picture of w by h comes to (x, y).
func (o orientation) source(x, y, w, h int) (sx, sy int) {
	switch o {
	case mirrored:
		return w - 1 - x, y
	case upsideDown:
		return w - 1 - x, h - 1 - y
	case mirroredDown:
		return x, h - 1 - y
	case transposed:
		return y, x
	case turnRight:
		return y, h - 1 - x
	case transposedDown:
		return w - 1 - y, h - 1 - x
	case turnLeft:
		return w - 1 - y, x
	default:
		return x, y
	}
}
