package wechat

import (
	"math"
	"strconv"
)

// Body is what a push says: one of the types of this package that document the
// message or event they stand for.
type Body interface{ isBody() }

// Text is a text message.
type Text struct {
	// Content is what the user wrote, exactly.
	Content string
	// MenuID is the id of the tapped menu item if the text was not typed but
	// tapped in a message with choices (bizmsgmenuid); not always a number.
	MenuID string
}

// Image is a picture.
type Image struct {
	// PicURL is an http(s) address at WeChat that needs no token.
	PicURL string
	// MediaID serves to download it for three days, with API permission.
	MediaID string
}

// Voice is a recording.
type Voice struct {
	MediaID string
	// Format is that of MediaID, usually "amr" (8 kHz), also "speex".
	Format string
	// MediaID16K names a 16 kHz version, if there is one.
	MediaID16K string
	// Recognition is a retired transcript: nowadays empty.
	Recognition string
}

// Video is a video or, if Short, one recorded in the chat (shortvideo).
type Video struct {
	MediaID, ThumbMediaID string
	Short                 bool
}

// Location is a place the user chose on the map; a reported position is
// LocationReport.
type Location struct {
	// Latitude and Longitude are in degrees (Location_X, Location_Y).
	Latitude, Longitude float64
	// Scale is the zoom of the map; 0 if it was absent.
	Scale int
	// Label is the address as text, if WeChat knows one.
	Label string
}

// Link is a shared article. An address typed by hand comes as Text.
type Link struct{ Title, Description, URL string }

// Unknown is a message or event that this package does not know, or one that
// lacks what its type promises. What it holds is in the push's Elements.
type Unknown struct{}

func (*Text) isBody()     {}
func (*Image) isBody()    {}
func (*Voice) isBody()    {}
func (*Video) isBody()    {}
func (*Location) isBody() {}
func (*Link) isBody()     {}
func (*Unknown) isBody()  {}

func decodeMessage(msgType string, es elements) Body {
	switch msgType {
	case "text":
		return &Text{Content: es.text("Content"), MenuID: es.value("bizmsgmenuid")}
	case "image":
		return &Image{PicURL: es.value("PicUrl"), MediaID: es.value("MediaId")}
	case "voice":
		return &Voice{
			MediaID: es.value("MediaId"), Format: es.value("Format"),
			MediaID16K: es.value("MediaId16K"), Recognition: es.text("Recognition"),
		}
	case "video", "shortvideo":
		return &Video{MediaID: es.value("MediaId"), ThumbMediaID: es.value("ThumbMediaId"), Short: msgType == "shortvideo"}
	case "location":
		return decodeLocation(es)
	case "link":
		return &Link{Title: es.text("Title"), Description: es.text("Description"), URL: es.value("Url")}
	}
	return &Unknown{}
}

func decodeLocation(es elements) Body {
	lat, ok1 := es.degrees("Location_X")
	lon, ok2 := es.degrees("Location_Y")
	if !ok1 || !ok2 {
		return &Unknown{} // better than a place in the Gulf of Guinea
	}
	return &Location{Latitude: lat, Longitude: lon, Scale: es.integer("Scale"), Label: es.text("Label")}
}

// degrees reads a finite decimal number.
func (es elements) degrees(name string) (float64, bool) {
	f, err := strconv.ParseFloat(es.value(name), 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

// integer reads a number that is a detail: absent or malformed it is 0.
func (es elements) integer(name string) int {
	n, err := strconv.Atoi(es.value(name))
	if err != nil {
		return 0
	}
	return n
}
