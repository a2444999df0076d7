package mediafile

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestShrinkProperties: a picture of one colour keeps it, whatever its type,
// place and the size it is scaled to.
func TestShrinkProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w, h := rapid.IntRange(1, 90).Draw(t, "w"), rapid.IntRange(1, 90).Draw(t, "h")
		at := image.Pt(rapid.IntRange(-9, 9).Draw(t, "x"), rapid.IntRange(-9, 9).Draw(t, "y"))
		c := color.RGBA{rapid.Byte().Draw(t, "r"), rapid.Byte().Draw(t, "g"), rapid.Byte().Draw(t, "b"), 255}
		r := image.Rect(0, 0, w, h).Add(at)
		src := rapid.SampledFrom([]draw.Image{
			image.NewRGBA(r), image.NewNRGBA(r), image.NewRGBA64(r), image.NewPaletted(r, color.Palette{color.Black, c}),
		}).Draw(t, "src")
		draw.Draw(src, r, image.NewUniform(c), image.Point{}, draw.Src)
		dw, dh := rapid.IntRange(1, w).Draw(t, "dw"), rapid.IntRange(1, h).Draw(t, "dh")

		dst := shrink(src, dw, dh)
		if dst.Rect != image.Rect(0, 0, dw, dh) {
			t.Fatalf("%v, want %d by %d", dst.Rect, dw, dh)
		}
		for i := 0; i < len(dst.Pix); i += 4 {
			if got := ([4]byte)(dst.Pix[i:]); got != [4]byte{c.R, c.G, c.B, c.A} {
				t.Fatalf("pixel %d is %v, want %v", i/4, got, c)
			}
		}
	})
}

// TestShrinkKeepsShapes: what is where stays there.
func TestShrinkKeepsShapes(t *testing.T) {
	t.Parallel()
	src := quarters(640, 480)
	for _, size := range [][2]int{{640, 480}, {639, 479}, {320, 240}, {200, 150}, {64, 48}, {7, 5}} {
		if got := corners(shrink(src, size[0], size[1])); got != "RGBW" {
			t.Errorf("at %v: %s, want RGBW", size, got)
		}
	}
	fine := image.NewGray(image.Rect(0, 0, 300, 300)) // lines that sampling alone would get wrong
	for i := range fine.Pix {
		fine.Pix[i] = uint8(255 * (i % 3 / 2))
	}
	for i, v := range shrink(fine, 50, 50).Pix {
		if i%4 != 3 && v != 85 {
			t.Fatalf("lines, two black and one white, become %d, want 85", v)
		}
	}
}

func TestWithinProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w, h := rapid.IntRange(1, maxSide).Draw(t, "w"), rapid.IntRange(1, maxSide).Draw(t, "h")
		most := rapid.Int64Range(1, 1e8).Draw(t, "most")
		gw, gh := within(w, h, most)
		if gw < 1 || gh < 1 || gw > w || gh > h {
			t.Fatalf("%d by %d becomes %d by %d", w, h, gw, gh)
		}
		if int64(gw)*int64(gh) > most && gw > 1 && gh > 1 {
			t.Fatalf("%d by %d is more than %d", gw, gh, most)
		}
	})
}

// TestTurnProperties: turning back gives the picture again.
func TestTurnProperties(t *testing.T) {
	t.Parallel()
	back := map[orientation]orientation{turnRight: turnLeft, turnLeft: turnRight}
	rapid.Check(t, func(t *rapid.T) {
		w, h := rapid.IntRange(1, 9).Draw(t, "w"), rapid.IntRange(1, 9).Draw(t, "h")
		src := image.NewRGBA(image.Rect(0, 0, w, h))
		copy(src.Pix, rapid.SliceOfN(rapid.Byte(), len(src.Pix), len(src.Pix)).Draw(t, "pix"))
		o := orientation(rapid.Uint16Range(1, 8).Draw(t, "o"))
		undo := back[o]
		if undo == 0 {
			undo = o
		}
		if got := turn(turn(src, o), undo); got.Rect != src.Rect || !bytes.Equal(got.Pix, src.Pix) {
			t.Fatalf("orientation %d cannot be undone", o)
		}
	})
}

// TestOrientationOf: what is no EXIF is upright.
func TestOrientationOf(t *testing.T) {
	t.Parallel()
	good := []byte("II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00")
	if got := orientationOf(good); got != turnRight {
		t.Errorf("orientation %d, want %d", got, turnRight)
	}
	for n := range len(good) - 4 { // the value is read from a whole entry only
		if got := orientationOf(good[:n]); got != upright {
			t.Errorf("cut to %d bytes: orientation %d", n, got)
		}
	}
	for name, change := range map[string]func(b []byte){
		"byte order":  func(b []byte) { b[0] = 'X' },
		"offset":      func(b []byte) { b[7] = 0xff },
		"type":        func(b []byte) { b[12] = 4 },
		"value 0":     func(b []byte) { b[18] = 0 },
		"value 9":     func(b []byte) { b[18] = 9 },
		"another tag": func(b []byte) { b[10] = 0x13 },
	} {
		bad := slices.Clone(good)
		change(bad)
		if got := orientationOf(bad); got != upright {
			t.Errorf("%s: orientation %d", name, got)
		}
	}
}
