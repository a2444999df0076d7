package simulator

import (
	"slices"
)

// bpMP4 is a playable film: two seconds of one grey picture in H.264, the macroblocks uncompressed.
func bpMP4() []byte {
	sps, pps, idr := bpH264()
	sample := slices.Concat(bpU32(len(idr)), idr)
	ftyp := bpBox("ftyp", []byte("isom"), bpU32(0x200), []byte("isomiso2avc1mp41"))
	mdat := bpBox("mdat", sample)
	return slices.Concat(ftyp, mdat, bpMoov(sps, pps, len(ftyp)+8, len(sample)))
}

const (
	bpClipSide   = 64   // pixels, square
	bpClipScale  = 1000 // units per second
	bpClipLength = 2000
)

func bpU16(v ...int) (b []byte) {
	for _, x := range v {
		b = append(b, byte(x>>8&0xFF), byte(x&0xFF))
	}
	return b
}

func bpU32(v ...int) (b []byte) {
	for _, x := range v {
		b = append(b, byte(x>>24&0xFF), byte(x>>16&0xFF), byte(x>>8&0xFF), byte(x&0xFF))
	}
	return b
}

func bpBox(kind string, parts ...[]byte) []byte {
	body := slices.Concat(parts...)
	return slices.Concat(bpU32(len(body)+8), []byte(kind), body)
}

func bpMatrix() []byte { return bpU32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000) }

// bpMoov describes one video track of one sample. The layout is ISO 14496-12 and -15.
func bpMoov(sps, pps []byte, offset, size int) []byte {
	avcC := bpBox("avcC", []byte{1, sps[1], sps[2], sps[3], 0xFF, 0xE1},
		bpU16(len(sps)), sps, []byte{1}, bpU16(len(pps)), pps)
	avc1 := bpBox("avc1", make([]byte, 6), bpU16(1), make([]byte, 16), bpU16(bpClipSide, bpClipSide),
		bpU32(0x480000, 0x480000, 0), bpU16(1), make([]byte, 32), bpU16(24, 0xFFFF), avcC)
	stbl := bpBox("stbl",
		bpBox("stsd", bpU32(0, 1), avc1),
		bpBox("stts", bpU32(0, 1, 1, bpClipLength)),
		bpBox("stsc", bpU32(0, 1, 1, 1, 1)),
		bpBox("stsz", bpU32(0, size, 1)),
		bpBox("stco", bpU32(0, 1, offset)))
	minf := bpBox("minf",
		bpBox("vmhd", bpU32(1, 0, 0)),
		bpBox("dinf", bpBox("dref", bpU32(0, 1), bpBox("url ", bpU32(1)))),
		stbl)
	mdia := bpBox("mdia",
		bpBox("mdhd", bpU32(0, 0, 0, bpClipScale, bpClipLength), bpU16(0x55C4, 0)),
		bpBox("hdlr", bpU32(0, 0), []byte("vide"), make([]byte, 12), []byte("film\x00")),
		minf)
	trak := bpBox("trak",
		bpBox("tkhd", bpU32(3, 0, 0, 1, 0, bpClipLength, 0, 0), bpU16(0, 0, 0, 0), bpMatrix(),
			bpU32(bpClipSide<<16, bpClipSide<<16)),
		mdia)
	mvhd := bpBox("mvhd", bpU32(0, 0, 0, bpClipScale, bpClipLength, 0x10000), bpU16(0x100, 0, 0, 0, 0, 0),
		bpMatrix(), make([]byte, 24), bpU32(2))
	return bpBox("moov", mvhd, trak)
}

// bpBits writes a bit stream.
type bpBits struct {
	out  []byte
	free int // bits still free in the last byte
}

func (w *bpBits) put(v uint, n int) {
	for n--; n >= 0; n-- {
		if w.free == 0 {
			w.out, w.free = append(w.out, 0), 8
		}
		w.free--
		w.out[len(w.out)-1] |= byte(v>>n&1) << w.free
	}
}

// ue writes exponential Golomb codes.
func (w *bpBits) ue(values ...uint) {
	for _, v := range values {
		n := 0
		for (v+1)>>(n+1) > 0 {
			n++
		}
		w.put(0, n)
		w.put(v+1, n+1)
	}
}

// end writes the stop bit and fills the byte up.
func (w *bpBits) end() []byte {
	w.put(1, 1)
	w.free = 0
	return w.out
}

// bpH264 makes the parameter sets and one key frame, baseline profile, of raw (I_PCM) macroblocks.
func bpH264() (sps, pps, idr []byte) {
	const blocks = bpClipSide / 16
	s := &bpBits{out: []byte{0x67, 66, 0xC0, 10}}
	s.ue(0, 0, 0, 0, 1)      // id, frame numbers and picture order of 4 bits, one reference frame
	s.put(0, 1)              // no gaps
	s.ue(blocks-1, blocks-1) // size
	s.put(1, 1)              // frames only
	s.put(1, 1)              // direct 8x8
	s.put(0, 2)              // no cropping, no VUI
	p := &bpBits{out: []byte{0x68}}
	p.ue(0, 0)
	p.put(0, 2)   // CAVLC, no bottom field order
	p.ue(0, 0, 0) // one slice group, default references
	p.put(0, 3)   // no weighting
	p.ue(0, 0, 0) // quantizers: se(0) is ue(0)
	p.put(4, 3)   // deblocking control present
	i := &bpBits{out: []byte{0x65}}
	i.ue(0, 7, 0) // first macroblock, I slice, parameter set
	i.put(0, 4)   // frame number
	i.ue(0)       // idr id
	i.put(0, 4)   // picture order
	i.put(0, 2)   // no long-term reference
	i.ue(0, 1)    // quantizer delta 0, deblocking off
	for n := range blocks * blocks {
		i.ue(25) // I_PCM
		i.free = 0
		for range 256 {
			i.put(uint(64+n*8), 8)
		}
		for range 128 {
			i.put(128, 8)
		}
	}
	return s.end(), p.end(), i.end()
}
