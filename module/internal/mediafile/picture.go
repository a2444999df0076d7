package mediafile

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// maxPixels bounds the pictures that are looked at: what a good camera makes.
	maxPixels = 64_000_000
	// maxSide is the longest side that a JPEG can have.
	maxSide = 65535

	// decodeMemory bounds what decoding and scaling take, in bytes, over the whole
	// process. A picture that would need more is refused; whatever it needs it
	// counts for half, so that at most two are decoded at once.
	decodeMemory = 256 << 20
)

var decoding = semaphore.NewWeighted(decodeMemory)

// Picture makes of data a picture that WeChat takes, of at most limit bytes
// (PictureLimit if that is 0 or less), and a file name with the extension that
// WeChat insists on. What data is, is told by its content.
//
// PNG, JPEG and GIF that fit are returned as they are, the very slice. WebP, BMP
// and TIFF, and whatever is too large, are encoded anew: as PNG if there is
// transparency and it fits, else as JPEG on white, scaled down until it fits and
// turned the way EXIF says. Of an animation that is encoded anew its first
// frame remains.
//
// The error is ErrFormat, ErrDimensions, ErrTooLarge (nothing recognisable fits
// into limit), or ctx's, which bounds the wait for other pictures; a decoder at
// work runs to its end.
func Picture(ctx context.Context, data []byte, limit int64) (out []byte, name string, err error) {
	return PictureBy(ctx, time.Time{}, data, limit)
}

// PictureBy is Picture that waits for other pictures until a time at most; zero means
// as long as ctx lets it. Then it is an ErrBusy.
func PictureBy(ctx context.Context, by time.Time, data []byte, limit int64) (out []byte, name string, err error) {
	if limit <= 0 {
		limit = PictureLimit
	}
	defer func() {
		// The decoders read what strangers send.
		if r := recover(); r != nil {
			out, name, err = nil, "", fmt.Errorf("fitting picture: %w: the decoder panicked", ErrFormat)
		}
	}()
	h, err := inspect(data)
	if err == nil && h.format.name != "" && int64(len(data)) <= limit {
		return data, h.format.name, nil
	}
	if err == nil {
		out, name, err = h.convert(ctx, by, data, limit)
	}
	if err != nil {
		return nil, "", fmt.Errorf("fitting picture: %w", err)
	}
	return out, name, nil
}

// convert decodes a picture and encodes it anew.
func (h header) convert(ctx context.Context, by time.Time, data []byte, limit int64) ([]byte, string, error) {
	width, height := within(h.width, h.height, canvasPixels)
	canvas := 4 * int64(width) * int64(height)
	weight := h.cost + canvas + min(limit, canvas)
	if h.turn != upright {
		weight += canvas
	}
	if weight > decodeMemory {
		return nil, "", fmt.Errorf("%w: %d by %d of this kind", ErrDimensions, h.width, h.height)
	}
	weight = max(weight, decodeMemory/2)
	if err := turnBy(ctx, by, weight); err != nil {
		return nil, "", fmt.Errorf("waiting for other pictures: %w", err)
	}
	defer decoding.Release(weight)

	img, err := h.decode(data)
	if err != nil {
		return nil, "", err
	}
	return encode(ctx, img, limit, h.format.alpha)
}

// turnBy waits for the memory to decode a picture in.
func turnBy(ctx context.Context, by time.Time, weight int64) error {
	switch {
	case by.IsZero():
		return decoding.Acquire(ctx, weight)
	case decoding.TryAcquire(weight): // whatever the time
		return nil
	}
	wait, cancel := context.WithDeadline(ctx, by)
	defer cancel()
	err := decoding.Acquire(wait, weight)
	if err != nil && ctx.Err() == nil {
		err = ErrBusy
	}
	return err
}

// decode returns the picture scaled to what is worth encoding and then turned, so
// that the decoded original is garbage when it returns.
func (h header) decode(data []byte) (*image.RGBA, error) {
	img, err := h.format.decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%w: it cannot be decoded", ErrFormat)
	}
	b := img.Bounds() // of a GIF's first frame: smaller, perhaps, than its header says
	if b.Empty() {
		return nil, fmt.Errorf("%w: it is empty", ErrFormat)
	}
	width, height := within(b.Dx(), b.Dy(), canvasPixels)
	return turn(shrink(img, width, height), h.turn), nil
}
