package wechat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Bounds of a menu. (WeChat: custom menus, creating.)
const (
	maxButtons    = 3
	maxSubButtons = 5
	maxButtonName = 16 // bytes
	maxSubName    = 60
	maxButtonKey  = 128
	maxButtonURL  = 1024
)

// readMenu reads the buttons of a menu and checks what WeChat documents of them.
// What it does not document is WeChat's to judge. A menu is not secret: errors
// quote it.
func readMenu(menu json.RawMessage) ([]any, error) {
	var doc map[string]any
	d := json.NewDecoder(bytes.NewReader(menu))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil {
		return nil, fmt.Errorf("%w: it is no JSON object: %w", ErrMenu, err)
	}
	if d.More() {
		return nil, fmt.Errorf("%w: something follows the JSON object", ErrMenu)
	}
	if inner, ok := doc["menu"].(map[string]any); ok && doc["button"] == nil {
		doc = inner
	}
	buttons, ok := doc["button"].([]any)
	if !ok {
		return nil, fmt.Errorf(`%w: it wants a list "button"`, ErrMenu)
	}
	if n := len(buttons); n < 1 || n > maxButtons {
		return nil, fmt.Errorf("%w: it has %d buttons, and may have 1 to %d", ErrMenu, n, maxButtons)
	}
	for i, b := range buttons {
		if err := checkButton(b, false); err != nil {
			return nil, fmt.Errorf("%w: button %d: %w", ErrMenu, i+1, err)
		}
	}
	cleanAll(buttons)
	return buttons, nil
}

// cleanAll cleans all texts in a list of objects, in place.
func cleanAll(list []any) {
	for _, v := range list {
		object, _ := v.(map[string]any)
		for k, v := range object {
			switch v := v.(type) {
			case string:
				object[k] = cleanText(v)
			case []any:
				cleanAll(v)
			}
		}
	}
}

// checkButton checks a button or, with sub set, one of those below it.
func checkButton(v any, sub bool) error {
	b, ok := v.(map[string]any)
	if !ok {
		return errors.New("it is no JSON object")
	}
	name, _ := b["name"].(string)
	limit := maxButtonName
	if sub {
		limit = maxSubName
	}
	switch {
	case name == "":
		return errors.New(`it wants a "name"`)
	case len(name) > limit:
		return fmt.Errorf("its name %q is %d bytes long, and may be %d", name, len(name), limit)
	}
	kids, _ := b["sub_button"].([]any)
	kind, _ := b["type"].(string)
	switch {
	case len(kids) == 0:
		return checkAction(b, kind)
	case sub:
		return errors.New("a button below another may have none below it")
	case kind != "":
		return errors.New("it has a type, and buttons below it: one of the two")
	case len(kids) > maxSubButtons:
		return fmt.Errorf("it has %d buttons below it, and may have %d", len(kids), maxSubButtons)
	}
	for i, k := range kids {
		if err := checkButton(k, true); err != nil {
			return fmt.Errorf("number %d below it: %w", i+1, err)
		}
	}
	return nil
}

// checkAction checks that a button has what its type needs.
func checkAction(b map[string]any, kind string) error {
	if kind == "" {
		return errors.New(`it wants a "type", or buttons below it ("sub_button")`)
	}
	need, limit := buttonNeeds(kind)
	if need == "" {
		return nil // one of a newer kind
	}
	switch value, _ := b[need].(string); {
	case value == "":
		return fmt.Errorf("its type %q wants %q", kind, need)
	case limit > 0 && len(value) > limit:
		return fmt.Errorf("its %q is %d bytes long, and may be %d", need, len(value), limit)
	}
	return nil
}

// buttonNeeds is the field that a type of button cannot do without, and its bound
// in bytes, 0 for none.
func buttonNeeds(kind string) (field string, limit int) {
	switch kind {
	case "click", "scancode_push", "scancode_waitmsg", "pic_sysphoto", "pic_photo_or_album", "pic_weixin", "location_select":
		return "key", maxButtonKey
	case "view", "miniprogram":
		return "url", maxButtonURL
	case "media_id", "view_limited":
		return "media_id", 0
	case "article_id", "article_view_limited":
		return "article_id", 0
	}
	return "", 0
}
