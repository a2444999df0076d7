package simulator

import "encoding/json"

// apiSelfMenu is GET /cgi-bin/get_current_selfmenu_info. It describes the menu in a form of
// its own: what is below a button is a list in an object.
func (w *WeChat) apiSelfMenu(*wcRequest) (any, error) {
	var menu struct {
		Button []wcObject `json:"button"`
	}
	if raw := w.Menu(); raw == nil || json.Unmarshal(raw, &menu) != nil {
		return map[string]any{"is_menu_open": 0}, nil
	}
	for _, b := range menu.Button {
		kids := b.list("sub_button")
		delete(b, "sub_button")
		if len(kids) > 0 {
			b["sub_button"] = map[string]any{"list": kids}
		}
	}
	return map[string]any{"is_menu_open": 1, "selfmenu_info": map[string]any{"button": menu.Button}}, nil
}
