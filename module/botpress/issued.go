package botpress

import (
	"context"
	"net/http"
)

// As returns a client that makes its calls with a key that Botpress has issued ([Client.CreateUser]); the user ids of
// those calls have to be that key's. It shares everything with the client it comes from, and costs nothing.
// Where the client signs keys itself, it goes on to do so.
func (c *Client) As(key string) *Client {
	as := *c
	as.issued = key
	return &as
}

// CreateUser makes a user of an id of our choosing, and returns the key that Botpress issues for it: it is given only
// here, and nobody can have it again. Only for integrations without an encryption key; others refuse it.
//
// Where a user of that id exists the call fails, and the id is lost unless its key was kept ([Error.KeyLost]): so it
// is after a CreateUser whose answer did not arrive.
func (c *Client) CreateUser(ctx context.Context, id string, u UserFields) (User, string, error) {
	if err := checkID(opCreateUser, "user", id); err != nil {
		return User{}, "", err
	}
	if err := checkProfile(opCreateUser, u.Profile); err != nil {
		return User{}, "", err
	}
	var out struct {
		User wireUser `json:"user"`
		Key  string   `json:"key"`
	}
	body := struct {
		ID string `json:"id"`
		UserFields
	}{id, u}
	err := c.do(ctx, call{
		op: opCreateUser, method: http.MethodPost, path: "/users", body: body,
		out: &out, complete: func() bool { return out.User.ID != "" && out.Key != "" },
	})
	if err != nil {
		return User{}, "", err
	}
	w := out.User
	return User{w.ID, w.Name, w.PictureURL, w.Profile, w.CreatedAt.Time, w.UpdatedAt.Time}, out.Key, nil
}

// key is what signs a call, empty if nothing does.
func (c *Client) key(k call) (string, *Error) {
	switch {
	case k.user == "":
		return "", nil
	case c.keys != nil:
		key, err := c.keys.key(k.user)
		if err != nil {
			return "", refuse(k.op, err.Error())
		}
		return key, nil
	case c.issued == "":
		return "", &Error{
			Op: k.op, Status: http.StatusUnauthorized, Type: typeUnauthorized,
			Message: "no key that Botpress has issued is known", Unsent: true, issued: true,
		}
	}
	return c.issued, nil
}
