package mediafile

import (
	"encoding/binary"
	"fmt"
)

// Video tells whether WeChat takes data as video: MP4 of at most VideoLimit bytes.
// It returns a file name with the extension that WeChat insists on. What data is,
// is told by its content: the brands of its first box, and a track of pictures.
//
// The error is ErrFormat or ErrTooLarge.
func Video(data []byte) (name string, err error) {
	switch {
	case !mp4Brand(data):
		return "", fmt.Errorf("checking video: %w: not MP4", ErrFormat)
	case !hasBox(data, isVideoTrack, "moov", "trak", "mdia", "hdlr"):
		return "", fmt.Errorf("checking video: %w: MP4 without video", ErrFormat)
	case len(data) > VideoLimit:
		return "", fmt.Errorf("checking video: %w: %d bytes, at most %d", ErrTooLarge, len(data), VideoLimit)
	}
	return "video.mp4", nil
}

// mp4Brands say in a file's first box that it can be read as MP4: the base format
// and its versions, MP4, and what extends them.
var mp4Brands = map[string]bool{
	"isom": true, "iso2": true, "iso3": true, "iso4": true, "iso5": true, "iso6": true, "iso7": true, "iso8": true, "iso9": true,
	"mp41": true, "mp42": true, "avc1": true, "mmp4": true, "MSNV": true, "M4V ": true, "M4VH": true, "M4VP": true, "dash": true,
}

// otherBrands are major brands of files that are no video although they may name
// the base format among the compatible ones: still pictures and sound.
var otherBrands = map[string]bool{
	"heic": true, "heix": true, "heim": true, "heis": true, "hevc": true, "hevx": true, "mif1": true, "msf1": true,
	"avif": true, "avis": true, "crx ": true, "M4A ": true, "M4B ": true, "M4P ": true, "F4A ": true, "F4B ": true,
}

// mp4Brand reads the file type box (ISO/IEC 14496-12 §4.3), which comes first.
func mp4Brand(data []byte) bool {
	kind, body, _, ok := nextBox(data)
	if !ok || kind != "ftyp" || len(body) < 8 {
		return false
	}
	if otherBrands[string(body[:4])] {
		return false
	}
	brand := mp4Brands[string(body[:4])]
	for rest := body[8:]; len(rest) >= 4 && !brand; rest = rest[4:] {
		brand = mp4Brands[string(rest[:4])]
	}
	return brand
}

// nextBox takes the first box off data. One that is cut off is none.
func nextBox(data []byte) (kind string, body, rest []byte, ok bool) {
	const small, large = 8, 16
	if len(data) < small {
		return "", nil, nil, false
	}
	size, head := uint64(binary.BigEndian.Uint32(data)), uint64(small)
	switch size {
	case 0: // to the end
		size = uint64(len(data))
	case 1:
		if len(data) < large {
			return "", nil, nil, false
		}
		size, head = binary.BigEndian.Uint64(data[small:]), large
	}
	if size < head || size > uint64(len(data)) {
		return "", nil, nil, false
	}
	return string(data[4:8]), data[head:size], data[size:], true
}

// hasBox tells whether data has a box at path, the outermost box and then those
// within, that is as wanted.
func hasBox(data []byte, wanted func(body []byte) bool, box string, within ...string) bool {
	for {
		kind, body, rest, ok := nextBox(data)
		if !ok {
			return false
		}
		if kind == box {
			if len(within) == 0 && wanted(body) || len(within) > 0 && hasBox(body, wanted, within[0], within[1:]...) {
				return true
			}
		}
		data = rest
	}
}

// isVideoTrack reads a handler box (ISO/IEC 14496-12 §8.4.3).
func isVideoTrack(hdlr []byte) bool {
	const handler = 8 // after version, flags and four bytes of zero
	return len(hdlr) >= handler+4 && string(hdlr[handler:handler+4]) == "vide"
}
