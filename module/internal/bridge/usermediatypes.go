package bridge

import (
	"errors"
	"strings"

	"github.com/gabriel-vasile/mimetype"
)

// sniffed is how many bytes of a file tell its type.
const sniffed = 3072

// unknownExt is that of a file whose type is not known: speex recordings, for
// instance.
const unknownExt = "bin"

// errNoFile is that what came is text, a page, a program, and nothing that a user
// sends as a picture, a recording or a video.
var errNoFile = errors.New("taking file: it is no picture, recording or video")

// fileTypes are the types in which files of users are served, by extension. None
// of them can hold a script.
var fileTypes = map[string]string{
	"png":  "image/png",
	"jpg":  "image/jpeg",
	"gif":  "image/gif",
	"webp": "image/webp",
	"bmp":  "image/bmp",
	"heic": "image/heic",
	"tif":  "image/tiff",
	"avif": "image/avif",
	"jxl":  "image/jxl",

	"amr":  "audio/amr",
	"mp3":  "audio/mpeg",
	"wav":  "audio/wav",
	"aac":  "audio/aac",
	"m4a":  "audio/mp4",
	"ogg":  "audio/ogg",
	"flac": "audio/flac",

	"mp4":  "video/mp4",
	"m4v":  "video/x-m4v",
	"mov":  "video/quicktime",
	"3gp":  "video/3gpp",
	"3g2":  "video/3gpp2",
	"webm": "video/webm",
	"mkv":  "video/x-matroska",

	unknownExt: "application/octet-stream",
}

// storedOnly are the types that few browsers show: whoever follows an address is
// given a file.
var storedOnly = map[string]bool{
	"image/tiff": true, "image/avif": true, "image/jxl": true,
	"audio/flac":  true,
	"video/x-m4v": true, "video/3gpp2": true, "video/webm": true, "video/x-matroska": true,
	"application/octet-stream": true,
}

// sniffedExts are the extensions of what mimetype finds.
var sniffedExts = map[string]string{
	"image/png":  "png",
	"image/jpeg": "jpg",
	"image/gif":  "gif",
	"image/webp": "webp",
	"image/bmp":  "bmp",
	"image/heic": "heic",
	"image/heif": "heic",
	"image/apng": "png",
	"image/tiff": "tif",
	"image/avif": "avif",
	"image/jxl":  "jxl",

	"image/heic-sequence": "heic",
	"image/heif-sequence": "heic",

	"audio/amr":       "amr",
	"audio/mpeg":      "mp3",
	"audio/wav":       "wav",
	"audio/aac":       "aac",
	"audio/x-m4a":     "m4a",
	"audio/mp4":       "m4a",
	"audio/ogg":       "ogg",
	"application/ogg": "ogg",
	"video/mp4":       "mp4",
	"video/quicktime": "mov",
	"video/3gpp":      "3gp",
	"audio/flac":      "flac",
	"video/x-m4v":     "m4v",
	"video/3gpp2":     "3g2",
	"video/webm":      "webm",
	"video/matroska":  "mkv",

	"application/octet-stream": unknownExt,
}

// extOf tells by its beginning what a file is. What is none of the types above is
// not taken.
func extOf(head []byte) (ext string, ok bool) {
	kind, _, _ := strings.Cut(mimetype.Detect(head).String(), ";")
	ext, ok = sniffedExts[kind]
	return ext, ok
}

// shown tells whether a browser may show files of a type. The others it may only
// store.
func shown(contentType string) bool { return !storedOnly[contentType] }
