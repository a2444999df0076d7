package mediafile

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestPicturePasses: what WeChat takes is not touched, not even copied.
func TestPicturePasses(t *testing.T) {
	t.Parallel()
	animated := encoded(t, "png", quarters(8, 8))
	animated = append(animated[:33:33], append([]byte("\x00\x00\x00\x08acTL\x00\x00\x00\x01\x00\x00\x00\x00\x3a\x1b\x1b\x1b"), animated[33:]...)...)
	for _, tc := range []struct {
		name string
		data []byte
		want string
	}{
		{"PNG", encoded(t, "png", quarters(8, 8)), "image.png"},
		{"PNG with transparency", encoded(t, "png", noise(8, 8, 100)), "image.png"},
		{"JPEG", encoded(t, "jpeg", quarters(8, 8)), "image.jpg"},
		{"JPEG with EXIF", withEXIF(encoded(t, "jpeg", quarters(8, 8)), turnRight, binary.BigEndian), "image.jpg"},
		{"GIF", encoded(t, "gif", quarters(8, 8)), "image.gif"},
		{"animated GIF", animation(t, 8, 8, 3), "image.gif"},
		{"animated PNG", animated, "image.png"},
		{"long picture", encoded(t, "jpeg", quarters(10, 40000)), "image.jpg"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, limit := range []int64{0, int64(len(tc.data))} {
				out, name, err := Picture(t.Context(), tc.data, limit)
				if err != nil || name != tc.want || len(out) != len(tc.data) || &out[0] != &tc.data[0] {
					t.Errorf("limit %d: %d bytes, %q, %v, want the data itself, %q", limit, len(out), name, err, tc.want)
				}
			}
		})
	}
}

// TestPictureConverts: everything else becomes PNG or JPEG within the limit.
func TestPictureConverts(t *testing.T) {
	t.Parallel()
	photo := encoded(t, "jpeg", noise(1500, 1000, 255))
	for _, tc := range []struct {
		name  string
		data  []byte
		limit int64
		want  string
		w, h  int // of the result; 0: smaller
	}{
		{"WebP", fixture(t, "lossy.webp"), 0, "image.jpg", 48, 32},
		{"WebP with transparency", fixture(t, "lossy-alpha.webp"), 0, "image.png", 48, 32},
		{"WebP turned by EXIF", fixture(t, "lossy-turned.webp"), 0, "image.jpg", 32, 48},
		{"lossless WebP", losslessWebP(quarters(40, 30)), 0, "image.jpg", 40, 30},
		{"lossless WebP with transparency", losslessWebP(noise(40, 30, 100)), 0, "image.png", 40, 30},
		{"WebP of 12 MiB", losslessWebP(noise(2048, 1536, 255)), 0, "image.jpg", 0, 0},
		{"large WebP with transparency", losslessWebP(noise(1000, 800, 99)), 0, "image.jpg", 0, 0},
		{"BMP", encoded(t, "bmp", quarters(40, 30)), 0, "image.jpg", 40, 30},
		{"BMP of 24 MiB", encoded(t, "bmp", quarters(3300, 2500)), 0, "image.jpg", 0, 0},
		{"TIFF", encoded(t, "tiff", quarters(40, 30)), 0, "image.jpg", 40, 30},
		{"TIFF with transparency", encoded(t, "deflated tiff", noise(40, 30, 100)), 0, "image.png", 40, 30},
		{"large PNG", encoded(t, "png", noise(1200, 900, 255)), 0, "image.jpg", 1200, 900},
		{"large PNG with transparency", encoded(t, "png", noise(900, 700, 100)), 0, "image.jpg", 900, 700},
		{"PNG that was packed badly", append(encoded(t, "png", noise(30, 30, 100)), make([]byte, 10000)...), 9000, "image.png", 30, 30},
		{"large JPEG", photo, 0, "image.jpg", 0, 0},
		{"large JPEG, small limit", photo, 64 << 10, "image.jpg", 0, 0},
		{"large animated GIF", animation(t, 1000, 700, 4), 0, "image.jpg", 1000, 700},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			out, name, err := Picture(t.Context(), tc.data, tc.limit)
			limit := tc.limit
			if limit == 0 {
				limit = PictureLimit
			}
			if err != nil || name != tc.want || int64(len(out)) > limit || len(out) == 0 {
				t.Fatalf("%d bytes, %q, %v, want %q of at most %d", len(out), name, err, tc.want, limit)
			}
			c, kind, err := image.DecodeConfig(bytes.NewReader(out))
			if err != nil || !strings.HasPrefix("image."+strings.TrimSuffix(kind, "eg"), strings.TrimSuffix(tc.want, "g")) {
				t.Errorf("the result is %s, %v, not %s", kind, err, tc.want)
			}
			if tc.w != 0 && (c.Width != tc.w || c.Height != tc.h) {
				t.Errorf("%d by %d, want %d by %d", c.Width, c.Height, tc.w, tc.h)
			}
		})
	}
}

// TestPictureTurned: what is encoded anew stands upright.
func TestPictureTurned(t *testing.T) {
	t.Parallel()
	data := encoded(t, "jpeg", quarters(64, 32))
	// Where red, green, blue and white come to: left above, right above, left
	// below, right below.
	for o, want := range map[orientation]string{
		upright: "RGBW", mirrored: "GRWB", upsideDown: "WBGR", mirroredDown: "BWRG",
		transposed: "RBGW", turnRight: "BRWG", transposedDown: "WGBR", turnLeft: "GWRB",
	} {
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			turned := withEXIF(data, o, order)
			turned = append(turned, make([]byte, 4000)...) // too large, so that it is encoded anew
			out, _, err := Picture(t.Context(), turned, 4000)
			if err != nil {
				t.Fatal(err)
			}
			img, err := jpeg.Decode(bytes.NewReader(out))
			if err != nil {
				t.Fatal(err)
			}
			if got := corners(img); got != want {
				t.Errorf("orientation %d: %s, want %s", o, got, want)
			}
		}
	}
}

// corners names the colours in the middle of the four quarters.
func corners(img image.Image) string {
	b, s := img.Bounds(), ""
	for _, at := range [][2]int{{1, 1}, {3, 1}, {1, 3}, {3, 3}} {
		r, g, b, _ := img.At(b.Dx()*at[0]/4, b.Dy()*at[1]/4).RGBA()
		switch r>>15 | g>>15<<1 | b>>15<<2 {
		case 1:
			s += "R"
		case 2:
			s += "G"
		case 4:
			s += "B"
		case 7:
			s += "W"
		default:
			s += "?"
		}
	}
	return s
}

// TestPictureOnWhite: transparency that cannot be kept becomes white.
func TestPictureOnWhite(t *testing.T) {
	t.Parallel()
	out, name, err := Picture(t.Context(), losslessWebP(noise(300, 300, 0)), 0)
	if err != nil || name != "image.png" {
		t.Fatal(name, err)
	}
	if _, err := png.Decode(bytes.NewReader(out)); err != nil {
		t.Fatal(err)
	}
	img := image.NewRGBA(image.Rect(0, 0, 64, 64))
	for i := 0; i < len(img.Pix); i += 8 { // half of the pixels black, half clear
		img.Pix[i+3] = 255
	}
	out, name, err = encode(t.Context(), img, 100000, false)
	if err != nil || name != "image.jpg" {
		t.Fatal(name, err)
	}
	back, err := jpeg.Decode(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	if r, _, _, _ := back.At(1, 1).RGBA(); r < 0xd000 {
		t.Errorf("what was clear is %#x, not white", r)
	}
}

// TestPictureRefuses tells each reason. What claims to be huge is refused before
// it is decoded: next to nothing is allocated.
func TestPictureRefuses(t *testing.T) { // not parallel: it measures
	progressive := resized(t, "jpeg", 8000, 6000)
	progressive[bytes.Index(progressive, []byte{0xff, 0xc0})+1] = 0xc2
	deep := resized(t, "png", 7000, 7000)
	deep[24] = 16
	for _, tc := range []struct {
		name string
		data []byte
		err  error
	}{
		{"nothing", nil, ErrFormat},
		{"text", []byte("s3cret text"), ErrFormat},
		{"text that begins like BMP", []byte("BM is what this s3cret text begins with"), ErrFormat},
		{"page", []byte("<!DOCTYPE html><html><body>s3cret</body></html>"), ErrFormat},
		{"SVG", []byte(`<svg xmlns="http://www.w3.org/2000/svg"><text>s3cret</text></svg>`), ErrFormat},
		{"AVIF", fixture(t, "still.avif"), ErrFormat},
		{"video", fixture(t, "video.mp4"), ErrFormat},
		{"PNG, cut in the header", encoded(t, "png", quarters(8, 8))[:20], ErrFormat},
		{"WebP, cut", fixture(t, "lossy.webp")[:200], ErrFormat},
		{"WebP, cut in the header", fixture(t, "lossy.webp")[:14], ErrFormat},
		{"TIFF, cut", encoded(t, "tiff", quarters(8, 8))[:100], ErrFormat},
		{"PNG of no width", resized(t, "png", 0, 8), ErrFormat},
		{"GIF of no width", resized(t, "gif", 0, 8), ErrFormat},
		{"PNG bomb", resized(t, "png", 50000, 50000), ErrDimensions},
		{"PNG, too wide", resized(t, "png", 70000, 1), ErrDimensions},
		{"GIF bomb", resized(t, "gif", 65535, 65535), ErrDimensions},
		{"JPEG, a little too large", resized(t, "jpeg", 8200, 8000), ErrDimensions},
		{"JPEG bomb", resized(t, "jpeg", 65535, 65535), ErrDimensions},
		{"BMP bomb", resized(t, "bmp", 60000, 60000), ErrDimensions},
		{"TIFF bomb", resized(t, "tiff", 60000, 60000), ErrDimensions},
		{"WebP bomb", resized(t, "webp", 16384, 16384), ErrDimensions},
		{"WebP within the dimensions", resized(t, "webp", 7000, 7000), ErrDimensions},
		{"TIFF within the dimensions", resized(t, "tiff", 7000, 7000), ErrDimensions},
		{"progressive JPEG within the dimensions", padded(progressive), ErrDimensions},
		{"PNG of 16 bits within the dimensions", padded(rechecked(deep)), ErrDimensions},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			out, name, err := Picture(t.Context(), tc.data, 0)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, tc.err) || out != nil || name != "" {
				t.Errorf("%d bytes, %q, error %v, want %v", len(out), name, err, tc.err)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error quotes the content: %v", err)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
				t.Errorf("%d bytes were allocated", took)
			}
		})
	}
	if _, _, err := Picture(t.Context(), encoded(t, "png", noise(100, 100, 255)), 50); !errors.Is(err, ErrTooLarge) {
		t.Errorf("limit of 50 bytes: %v, want ErrTooLarge", err)
	}
}

// padded makes a file too large to pass as it is.
func padded(data []byte) []byte {
	return append(slices.Clip(data), make([]byte, PictureLimit)...)
}

// TestPictureWaits: pictures wait for the decoders at work, no longer than ctx.
func TestPictureWaits(t *testing.T) { // not parallel: it takes all the memory
	if err := decoding.Acquire(t.Context(), decodeMemory); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Picture(ctx, fixture(t, "lossy.webp"), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if _, name, err := Picture(ctx, encoded(t, "png", quarters(4, 4)), 0); err != nil || name == "" {
		t.Errorf("a picture that need not be decoded waited: %v", err)
	}
	for _, by := range []time.Time{time.Now().Add(-time.Second), time.Now().Add(10 * time.Millisecond)} {
		if _, _, err := PictureBy(t.Context(), by, fixture(t, "lossy.webp"), 0); !errors.Is(err, ErrBusy) {
			t.Errorf("error %v, want ErrBusy", err)
		}
	}
	if _, _, err := PictureBy(ctx, time.Now().Add(time.Minute), fixture(t, "lossy.webp"), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	decoding.Release(decodeMemory)
	if _, _, err := Picture(t.Context(), fixture(t, "lossy.webp"), 0); err != nil {
		t.Error(err)
	}
	if _, _, err := PictureBy(t.Context(), time.Now().Add(-time.Second), fixture(t, "lossy.webp"), 0); err != nil {
		t.Errorf("late, though nobody is before it: %v", err)
	}
}

// TestPicturePanics: a decoder that panics is an error, and holds nothing.
func TestPicturePanics(t *testing.T) { // not parallel: it puts in a decoder of its own
	whole := formats["image/webp"]
	defer func() { formats["image/webp"] = whole }()
	broken := whole
	broken.decode = func(io.Reader) (image.Image, error) { panic("s3cret") }
	formats["image/webp"] = broken
	for range 3 {
		_, _, err := Picture(t.Context(), fixture(t, "lossy.webp"), 0)
		if !errors.Is(err, ErrFormat) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("error %v, want ErrFormat", err)
		}
	}
	if !decoding.TryAcquire(decodeMemory) {
		t.Fatal("the decoder's memory was not given back")
	}
	decoding.Release(decodeMemory)
}

func FuzzPicture(f *testing.F) {
	for _, kind := range []string{"png", "jpeg", "gif", "bmp", "tiff", "deflated tiff", "webp"} {
		f.Add(encoded(f, kind, quarters(16, 8)), uint16(300))
	}
	f.Add(withEXIF(encoded(f, "jpeg", quarters(16, 8)), turnLeft, binary.LittleEndian), uint16(100))
	f.Add(animation(f, 16, 16, 2), uint16(200))
	for _, name := range []string{"lossy.webp", "lossy-alpha.webp", "lossy-turned.webp"} {
		f.Add(fixture(f, name), uint16(1000))
	}
	f.Fuzz(func(t *testing.T, data []byte, limit uint16) {
		h, err := inspect(data)
		if err == nil && h.pixels() > 1<<20 {
			return // fine, but slow
		}
		out, name, err := Picture(t.Context(), data, int64(limit))
		if (err == nil) != (name != "") || (err == nil) != (out != nil) {
			t.Fatalf("%d bytes, %q, %v", len(out), name, err)
		}
		if err != nil {
			if strings.Contains(err.Error(), "panicked") {
				t.Fatal(err)
			}
			return
		}
		if most := int64(limit); most != 0 && int64(len(out)) > most {
			t.Fatalf("%d bytes, at most %d", len(out), limit)
		}
		if _, kind, err := image.DecodeConfig(bytes.NewReader(out)); err != nil || kind == "webp" || kind == "bmp" || kind == "tiff" {
			t.Fatalf("the result is %s, %v", kind, err)
		}
	})
}
