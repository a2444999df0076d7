package journal

import (
	"context"
	"database/sql"
	"time"
)

// Upload is a file that WeChat has.
type Upload struct {
	// Account is the appid, Hash that of an address or of content, Kind WeChat's kind of media.
	Account, Hash, Kind string

	// MediaID names the file until Until.
	MediaID string
	Until   time.Time

	// CheckedAt is when the content was last looked at.
	CheckedAt time.Time
}

const (
	upsertUpload = `INSERT INTO uploads (account, hash, kind, media_id, until, checked_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (account, hash, kind) DO UPDATE SET
			media_id = excluded.media_id, until = excluded.until, checked_at = excluded.checked_at`
	selectUpload = `SELECT media_id, until, checked_at FROM uploads
		WHERE account = $1 AND hash = $2 AND kind = $3 AND until > $4`
	forgetUpload = `DELETE FROM uploads WHERE account = $1 AND media_id = $2`
	oldUploads   = `SELECT 1 FROM uploads WHERE until < $1 LIMIT 1`
	pruneUploads = `DELETE FROM uploads WHERE (account, hash, kind) IN
		(SELECT account, hash, kind FROM uploads WHERE until < $1 ORDER BY until LIMIT $2 + 0)`
)

// PutUploads records uploads, instead of what was recorded under the same hashes.
func (j *Journal) PutUploads(ctx context.Context, us []Upload) error {
	return j.write(ctx, "recording upload", func(t *tx) error {
		for _, u := range us {
			_, err := t.exec(upsertUpload, u.Account, u.Hash, u.Kind, u.MediaID, millis(u.Until), millis(u.CheckedAt))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Upload returns what is recorded under a hash, and whether there is anything that lives on.
func (j *Journal) Upload(ctx context.Context, account, hash, kind string) (u Upload, found bool, err error) {
	err = j.read(ctx, "reading upload", selectUpload, func(rows *sql.Rows) error {
		u, found = Upload{Account: account, Hash: hash, Kind: kind}, true
		var until, checked int64
		err := rows.Scan(&u.MediaID, &until, &checked)
		u.Until, u.CheckedAt = moment(until), moment(checked)
		return err
	}, account, hash, kind, millis(j.now()))
	if err != nil {
		return Upload{}, false, err
	}
	return u, found, nil
}

// ForgetUpload forgets a media_id that WeChat does not know any more.
func (j *Journal) ForgetUpload(ctx context.Context, account, mediaID string) error {
	return j.write(ctx, "forgetting upload", func(t *tx) error {
		_, err := t.exec(forgetUpload, account, mediaID)
		return err
	})
}
