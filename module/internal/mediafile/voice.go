package mediafile

import (
	"bytes"
	"fmt"
	"time"
)

// VoiceLength is how long voice may play: 60 s.
const VoiceLength = 60 * time.Second

// Voice tells whether WeChat takes data as voice: AMR (narrow band, one channel)
// or MP3, of at most VoiceLimit bytes and VoiceLength. It returns a file name with
// the extension that WeChat insists on. What data is, and how long it plays, is
// told by its content.
//
// The error is ErrFormat, ErrTooLarge or ErrTooLong.
func Voice(data []byte) (name string, err error) {
	name, measure := "voice.mp3", mp3Length
	if bytes.HasPrefix(data, []byte("#!AMR")) {
		name, measure = "voice.amr", amrLength
	}
	length, err := measure(data)
	switch {
	case err != nil:
		return "", fmt.Errorf("checking voice: %w", err)
	case len(data) > VoiceLimit:
		return "", fmt.Errorf("checking voice: %w: %d bytes, at most %d", ErrTooLarge, len(data), VoiceLimit)
	case length > VoiceLength:
		return "", fmt.Errorf("checking voice: %w: %v, at most %v", ErrTooLong, length.Round(time.Second/10), VoiceLength)
	}
	return name, nil
}

// amrFrames are the sizes of AMR's frames by type, header included, as RFC 4867
// §5.3 stores them; 0 is a type that the narrow band does not have.
var amrFrames = [16]int{13, 14, 16, 18, 20, 21, 27, 32, 6, 0, 0, 0, 0, 0, 0, 1}

// amrLength adds up the frames, 20 ms each. A last frame that is cut off counts.
func amrLength(data []byte) (time.Duration, error) {
	data, ok := bytes.CutPrefix(data, []byte("#!AMR\n"))
	if !ok {
		return 0, fmt.Errorf("%w: AMR other than narrow band in one channel", ErrFormat)
	}
	n := 0
	for len(data) > 0 {
		size := amrFrames[data[0]>>3&15]
		if size == 0 {
			return 0, fmt.Errorf("%w: no AMR frame where one should be", ErrFormat)
		}
		data = data[min(size, len(data)):]
		n++
	}
	if n == 0 {
		return 0, fmt.Errorf("%w: AMR without frames", ErrFormat)
	}
	return time.Duration(n) * 20 * time.Millisecond, nil
}
