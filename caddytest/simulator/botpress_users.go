package simulator

import (
	"net/http"
	"time"
)

const bpMaxProfile = 1000

func bpUserOps() []*bpOp {
	return []*bpOp{
		{name: "hello", method: http.MethodGet, path: "hello", run: (*Botpress).hello},
		{name: "openapi", method: http.MethodGet, path: "openapi.json", run: (*Botpress).openapi},
		{name: "createUser", method: http.MethodPost, path: "users", body: true, creates: true, check: bpCheckNewUser, run: (*Botpress).createUser},
		{name: "getOrCreateUser", method: http.MethodPost, path: "users/get-or-create", key: true, body: true, creates: true, check: bpCheckUser, run: (*Botpress).getOrCreateUser},
		{name: "getUser", method: http.MethodGet, path: "users/me", key: true, run: (*Botpress).getUser},
		{name: "updateUser", method: http.MethodPut, path: "users/me", key: true, body: true, check: bpCheckUser, run: (*Botpress).updateUser},
		{name: "deleteUser", method: http.MethodDelete, path: "users/me", key: true, run: (*Botpress).deleteUser},
	}
}

type bpUserJSON struct {
	ID         string  `json:"id"`
	Name       *string `json:"name,omitempty"`
	PictureURL *string `json:"pictureUrl,omitempty"`
	Profile    *string `json:"profile,omitempty"`
	CreatedAt  string  `json:"createdAt"`
	UpdatedAt  string  `json:"updatedAt"`
}

func (u *bpUser) json() bpUserJSON {
	return bpUserJSON{u.ext(), u.name, u.pictureURL, u.profile, bpTime(u.createdAt), bpTime(u.updatedAt)}
}

// update takes the given fields; what is omitted stays.
func (u *bpUser) update(in *bpInput, now time.Time) {
	for _, f := range []struct{ to, from **string }{
		{&u.name, &in.name},
		{&u.pictureURL, &in.pictureURL},
		{&u.profile, &in.profile},
	} {
		if *f.from != nil {
			*f.to = *f.from
			u.updatedAt = now
		}
	}
}

func bpCheckUser(c *bpCall) (fail *bpFailure) {
	if c.in.name, fail = c.body.text("name", 0); fail != nil {
		return fail
	}
	if c.in.pictureURL, fail = c.body.text("pictureUrl", 0); fail != nil {
		return fail
	}
	c.in.profile, fail = c.body.text("profile", bpMaxProfile)
	return fail
}

func bpCheckNewUser(c *bpCall) (fail *bpFailure) {
	if c.in.id, fail = c.body.text("id", 0); fail != nil {
		return fail
	}
	return bpCheckUser(c)
}

func (b *Botpress) hello(*bpCall) (any, *bpFailure) { return "Hello, Botpress User 🤖", nil }

func (b *Botpress) openapi(*bpCall) (any, *bpFailure) {
	paths := map[string]map[string]map[string]string{}
	for _, op := range b.ops {
		if paths["/"+op.path] == nil {
			paths["/"+op.path] = map[string]map[string]string{}
		}
		paths["/"+op.path][op.method] = map[string]string{"operationId": op.name}
	}
	return map[string]any{
		"openapi": "3.0.0",
		"info":    map[string]string{"title": "Chat API", "version": "1.0.0"},
		"paths":   paths,
	}, nil
}

// createUser is refused in personal mode; in shared mode anyone may call it.
func (b *Botpress) createUser(c *bpCall) (any, *bpFailure) {
	keys := b.keys.Load()
	if keys.personal {
		return nil, bpAPIError(http.StatusUnauthorized, "Unauthorized",
			`The "createUser" operation can only be called when using the shared encryption key.`)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	fid := ""
	if c.in.id != nil {
		fid = *c.in.id
		if b.store.user(fid) != nil {
			return nil, bpAPIError(http.StatusConflict, "AlreadyExists", "User with id "+fid+" already exists")
		}
		if fail := bpCheckFid(fid); fail != nil {
			return nil, fail
		}
	}
	u := b.store.addUser(fid)
	u.update(&c.in, u.createdAt)
	return map[string]any{"user": u.json(), "key": bpSignKey(keys.secret, u.ext(), b.cfg.Now())}, nil
}

// getOrCreateUser checks both kinds of id before it creates, and is not atomic, see getOrCreate.
func (b *Botpress) getOrCreateUser(c *bpCall) (any, *bpFailure) {
	u, fail := bpGetOrCreate(b, c, c.caller,
		func() *bpUser { return b.store.user(c.caller) },
		func() (*bpUser, *bpFailure) { return b.store.addUser(c.caller), nil })
	if fail != nil {
		return nil, fail
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	u.update(&c.in, b.cfg.Now())
	return map[string]any{"user": u.json()}, nil
}

// bpGetOrCreate is check-then-write. With BotpressConfig.Race there is a gap between the two, in
// which another call may win: the loser's object stays behind as an orphan. A Race fault answers the
// creating call as if it had lost.
func bpGetOrCreate[T comparable](b *Botpress, c *bpCall, id string, find func() T, add func() (T, *bpFailure)) (T, *bpFailure) {
	var none T
	b.mu.Lock()
	defer b.mu.Unlock()
	if x := find(); x != none {
		return x, nil
	}
	if fail := bpCheckFid(id); fail != nil {
		return none, fail
	}
	if b.cfg.Race > 0 {
		b.mu.Unlock()
		b.pause(b.cfg.Race, nil)
		b.mu.Lock()
	}
	lost := find() != none
	x, fail := add()
	if fail != nil {
		return none, fail
	}
	forced := b.faults.take(func(f *BotpressFault) bool { return f.Race && f.matches(c, nil) }) != nil
	if lost || forced {
		return none, bpAPIError(http.StatusInternalServerError, "Internal",
			`The id "`+id+`" is already assigned to another value`)
	}
	return x, nil
}

// pause waits unless the simulator closes or stop fires; it reports whether the time was waited out.
func (b *Botpress) pause(d time.Duration, stop <-chan struct{}) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-stop:
	case <-b.ctx.Done():
	}
	return false
}

func (b *Botpress) getUser(c *bpCall) (any, *bpFailure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.me == nil {
		return nil, bpNotFound("User", c.caller)
	}
	return map[string]any{"user": c.me.json()}, nil
}

func (b *Botpress) updateUser(c *bpCall) (any, *bpFailure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.me == nil {
		return nil, bpNotFound("User", c.caller)
	}
	c.me.update(&c.in, b.cfg.Now())
	return map[string]any{"user": c.me.json()}, nil
}

// deleteUser frees the id. The user's key still verifies, its calls fail as not found or forbidden.
func (b *Botpress) deleteUser(c *bpCall) (any, *bpFailure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.me == nil {
		return nil, bpNotFound("User", c.caller)
	}
	b.store.dropUser(c.me)
	return struct{}{}, nil
}
