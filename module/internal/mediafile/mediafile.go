// Package mediafile is all that lies between an address in a bot's message and
// bytes that WeChat takes: fetching files without reaching into the operator's
// network, and fitting pictures, voice and video to WeChat's formats and sizes.
//
// Errors of this package hold no address and nothing of a file's content, so
// that they can be logged.
package mediafile

import "errors"

// What a caller branches on or counts. Errors wrap them.
var (
	// ErrForbidden: the address is not public and not in Config.Allow.
	ErrForbidden = errors.New("address is not public and not allowed")
	// ErrAddress: the URL is malformed, not http or https, or holds user info.
	ErrAddress = errors.New("not an http address")
	// ErrStatus: the server answered, but not with the file.
	ErrStatus = errors.New("the server refuses")
	// ErrBusy: too much is being fetched at once to begin with this file.
	ErrBusy = errors.New("no memory free for another file")

	// ErrFormat: WeChat does not take what the file is, or the file is broken.
	ErrFormat = errors.New("wrong format")
	// ErrTooLarge: more bytes than allowed.
	ErrTooLarge = errors.New("too large")
	// ErrTooLong: plays longer than WeChat takes.
	ErrTooLong = errors.New("too long")
	// ErrDimensions: more pixels than are worth the memory to decode them.
	ErrDimensions = errors.New("too many pixels")
)

// What WeChat takes as temporary media, in bytes.
const (
	// PictureLimit keeps below 2 MB however that is counted: WeChat's page on
	// temporary media says 10 MB in one place and 2 MB in another, and pictures
	// can be made smaller.
	PictureLimit = 2_000_000
	// VoiceLimit is 2 MB. Voice cannot be made smaller here, so it gets the
	// larger reading.
	VoiceLimit = 2 << 20
	// VideoLimit is 10 MB, in the larger reading for the same reason.
	VideoLimit = 10 << 20
)
