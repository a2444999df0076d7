package mediafile

import (
	"image"
	"math"

	"golang.org/x/image/draw"
)

// canvasPixels is the largest picture that is encoded: at 8 megapixels a photo is
// about to exceed 2 MB, and a phone shows no more.
const canvasPixels = 8_000_000

// within scales w by h down to an area of at most pixels, keeping its shape.
func within(w, h int, pixels int64) (int, int) {
	area := float64(w) * float64(h)
	if area <= float64(pixels) {
		return w, h
	}
	return times(w, h, math.Sqrt(float64(pixels)/area))
}

func times(w, h int, f float64) (int, int) {
	return max(1, int(float64(w)*f)), max(1, int(float64(h)*f))
}

// shrink scales src down to w by h. Averaging whole squares first and blending
// the rest looks like a good kernel, and takes no memory but the result's and a
// few lines'; the kernels of x/image/draw take 32 bytes for each pixel of a
// picture as wide as the result and as high as the source.
func shrink(src image.Image, w, h int) *image.RGBA {
	if k := min(src.Bounds().Dx()/w, src.Bounds().Dy()/h); k > 1 {
		src = average(src, k)
	}
	dst := image.NewRGBA(image.Rect(0, 0, w, h))
	if src.Bounds().Size() == dst.Rect.Size() {
		draw.Draw(dst, dst.Rect, src, src.Bounds().Min, draw.Src)
	} else {
		draw.ApproxBiLinear.Scale(dst, dst.Rect, src, src.Bounds(), draw.Src, nil)
	}
	return dst
}

// average makes one pixel of each square of k by k; squares at the right and lower
// edge may be smaller.
func average(src image.Image, k int) *image.RGBA {
	b := src.Bounds()
	dst := image.NewRGBA(image.Rect(0, 0, (b.Dx()+k-1)/k, (b.Dy()+k-1)/k))
	band := image.NewRGBA(image.Rect(0, 0, b.Dx(), k))
	sums := make([][4]uint32, dst.Rect.Dx())
	for y := range dst.Rect.Dy() {
		lines := min(k, b.Dy()-y*k)
		draw.Draw(band, image.Rect(0, 0, b.Dx(), lines), src, image.Pt(b.Min.X, b.Min.Y+y*k), draw.Src)
		clear(sums)
		for line := range lines {
			pix := band.Pix[line*band.Stride:]
			for x := range b.Dx() {
				s := &sums[x/k]
				for c := range s {
					s[c] += uint32(pix[4*x+c])
				}
			}
		}
		for x, s := range sums {
			count := uint32(lines * min(k, b.Dx()-x*k))
			for c := range s {
				dst.Pix[y*dst.Stride+4*x+c] = uint8((s[c] + count/2) / count)
			}
		}
	}
	return dst
}

// onWhite puts white behind img, in place.
func onWhite(img *image.RGBA) {
	for i := 0; i+3 < len(img.Pix); i += 4 {
		rest := 255 - int(img.Pix[i+3])
		if rest == 0 {
			continue
		}
		for c := range 3 { // they are premultiplied, or should be
			img.Pix[i+c] = uint8(min(255, int(img.Pix[i+c])+rest))
		}
		img.Pix[i+3] = 255
	}
}
