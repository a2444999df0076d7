package mediafile

import (
	"bytes"
	"fmt"
	"time"
)

// mp3Frame is what the 4 bytes of a frame's header say (ISO/IEC 11172-3 §2.4.2.3).
type mp3Frame struct {
	size    int // bytes, header included
	samples int // per channel
	rate    int // samples per second
}

// Bit rates in kbit/s of layer III by index: MPEG 1, then MPEG 2 and 2.5. Index 0,
// any rate, is not taken: the size of its frames cannot be told.
var mp3BitRates = [2][16]int{
	{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0},
	{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0},
}

// parseMP3Frame reads a header of layer III, or says that there is none.
func parseMP3Frame(b []byte) (f mp3Frame, ok bool) {
	const header, layer3 = 4, 1
	if len(b) < header || b[0] != 0xff || b[1]&0xe0 != 0xe0 || b[1]>>1&3 != layer3 {
		return f, false
	}
	const mpeg25, mpeg2, mpeg1 = 0, 2, 3
	version, table := b[1]>>3&3, 1
	switch version {
	case mpeg1:
		table, f.samples = 0, 1152
	case mpeg2, mpeg25:
		f.samples = 576
	default:
		return f, false
	}
	bitRate, index := mp3BitRates[table][b[2]>>4], b[2]>>2&3
	if bitRate == 0 || index == 3 {
		return f, false
	}
	f.rate = [3]int{44100, 48000, 32000}[index]
	switch version {
	case mpeg2:
		f.rate /= 2
	case mpeg25:
		f.rate /= 4
	}
	f.size = f.samples/8*bitRate*1000/f.rate + int(b[2]>>1&1)
	return f, true
}

// describes tells whether a frame holds no sound but an encoder's table of
// contents. It lies behind the side information, the size of which depends on the
// version and the channels.
func describes(frame []byte) bool {
	for _, at := range []int{4 + 9, 4 + 17, 4 + 32} {
		if len(frame) < at+4 {
			return false
		}
		switch string(frame[at : at+4]) {
		case "Xing", "Info", "VBRI":
			return true
		}
	}
	return false
}

// mp3Length adds up the frames. That is truer than what an encoder's table
// claims, and no more work for files of this size. What is no frame, tags among
// them, is skipped.
func mp3Length(data []byte) (time.Duration, error) {
	data, first, ok := findMP3(skipID3(data))
	if !ok {
		return 0, fmt.Errorf("%w: neither AMR nor MP3", ErrFormat)
	}
	if describes(data) {
		data = data[min(first.size, len(data)):]
	}
	var length time.Duration
	for len(data) > 0 {
		f, ok := parseMP3Frame(data)
		if !ok {
			next := bytes.IndexByte(data[1:], 0xff)
			if next < 0 {
				break
			}
			data = data[1+next:]
			continue
		}
		length += time.Duration(f.samples) * time.Second / time.Duration(f.rate)
		data = data[min(f.size, len(data)):]
	}
	if length == 0 {
		return 0, fmt.Errorf("%w: MP3 without sound", ErrFormat)
	}
	return length, nil
}

// skipID3 skips the tags that lie before the first frame.
func skipID3(data []byte) []byte {
	const header, footer = 10, 0x10
	for len(data) >= header && string(data[:3]) == "ID3" {
		// 7 bits in each byte, so that the size never looks like a frame.
		size := int(data[6]&127)<<21 | int(data[7]&127)<<14 | int(data[8]&127)<<7 | int(data[9]&127)
		size += header
		if data[5]&footer != 0 {
			size += header
		}
		data = data[min(size, len(data)):]
	}
	return data
}

// findMP3 returns data from its first frame on. Two bytes are little to know a
// format by: a frame counts if another of the same kind follows, or the end. What
// lies before it, padding for instance, is short.
func findMP3(data []byte) ([]byte, mp3Frame, bool) {
	const padding = 64 << 10
	for at := range min(len(data), padding) {
		f, ok := parseMP3Frame(data[at:])
		if !ok {
			continue
		}
		rest := data[min(at+f.size, len(data)):]
		if next, ok := parseMP3Frame(rest); ok && next.rate == f.rate && next.samples == f.samples {
			return data[at:], f, true
		}
		if len(rest) == 0 && at+f.size == len(data) || bytes.HasPrefix(rest, []byte("TAG")) {
			return data[at:], f, true
		}
	}
	return nil, mp3Frame{}, false
}
