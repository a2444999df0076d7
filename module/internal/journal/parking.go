package journal

import "context"

const parkBehind = `UPDATE replies SET state = 2 WHERE account = $1 AND openid = $2 AND state = 0
	AND EXISTS (SELECT 1 FROM replies p WHERE p.account = $1 AND p.openid = $2 AND p.state = 2)`

// ParkBehind parks a user's waiting replies if some are parked already. It returns how many it
// parked: none means that nothing is parked any more, or nothing waits.
func (j *Journal) ParkBehind(ctx context.Context, account, openid string) (int64, error) {
	return j.change(ctx, "parking replies", func(t *tx) (int64, error) { return t.exec(parkBehind, account, openid) })
}
