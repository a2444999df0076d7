package mediafile

import (
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"math"
)

const (
	goodQuality = 85
	fairQuality = 72 // still without visible blocks

	// smallestSide is where scaling down ends: what is left shows nothing.
	smallestSide = 16
)

// encode makes a file of at most limit bytes of img, which it may change: PNG if
// there is transparency, asPNG is set and it fits, else JPEG, of lower quality and
// then smaller until it fits.
func encode(ctx context.Context, img *image.RGBA, limit int64, asPNG bool) ([]byte, string, error) {
	if !img.Opaque() {
		if asPNG {
			out := capped{limit: limit}
			if err := png.Encode(&out, img); err == nil && out.fits() {
				return out.data, "image.png", nil
			}
		}
		onWhite(img)
	}
	quality := goodQuality
	for ctx.Err() == nil {
		out := capped{limit: limit}
		if err := jpeg.Encode(&out, img, &jpeg.Options{Quality: quality}); err != nil {
			return nil, "", fmt.Errorf("%w: it cannot be encoded", ErrFormat)
		}
		if out.fits() {
			return out.data, "image.jpg", nil
		}
		excess := float64(out.size) / float64(limit)
		if quality == goodQuality {
			quality = fairQuality
			if excess < 1.4 {
				continue
			}
		}
		// JPEGs of noise shrink with the area, others less so.
		w, h := img.Rect.Dx(), img.Rect.Dy()
		w, h = times(w, h, min(0.9, 0.95/math.Sqrt(excess)))
		if min(w, h) < smallestSide {
			return nil, "", fmt.Errorf("%w: more than %d bytes at any size", ErrTooLarge, limit)
		}
		img = shrink(img, w, h)
	}
	return nil, "", ctx.Err()
}

// capped keeps what is written to it up to limit bytes, and counts the rest.
type capped struct {
	data  []byte
	size  int64
	limit int64
}

var _ io.Writer = (*capped)(nil)

func (c *capped) Write(p []byte) (int, error) {
	c.size += int64(len(p))
	if c.fits() {
		c.data = append(c.data, p...)
	} else {
		c.data = nil
	}
	return len(p), nil
}

func (c *capped) fits() bool { return c.size <= c.limit }
