package channel

import (
	"bytes"
	"context"
	"sync"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// Limits of what the characteristics of BLEConfig hold, in bytes.
const (
	maxBLEKey   = 128
	maxBLEValue = 4096 // the limit of a configuration value
)

// BLEConfig is the configuration service of BLE for one connected central,
// without the radio. A key is written, then its value is read or written, as
// text, and applied with a write to save. Everything becomes a call of
// Config.Get, Config.Set or Config.Save, which goes through the Gate like those of
// any other door. All methods are safe for concurrent use. Source: Mongoose OS,
// bt-service-config.
type BLEConfig struct {
	s      *Service
	o      *access.Origin
	encode func(key, text string) ([]byte, error)

	mu    sync.Mutex
	key   []byte
	value []byte
}

// NewBLEConfig returns the service for a central that has just connected. encode
// returns the JSON text of a value for a key, whose type it knows: a string in
// quotes, true or false, or a number.
func NewBLEConfig(s *Service, remote string, encode func(key, text string) ([]byte, error)) *BLEConfig {
	return &BLEConfig{s: s, o: bleOrigin(remote), encode: encode}
}

// WriteKey appends to the key, a dotted path. A single zero byte clears it.
func (b *BLEConfig) WriteKey(p []byte) error { return b.add(&b.key, p, maxBLEKey) }

// WriteValue appends to the value. A single zero byte clears it.
func (b *BLEConfig) WriteValue(p []byte) error { return b.add(&b.value, p, maxBLEValue) }

func (b *BLEConfig) add(text *[]byte, p []byte, limit int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case len(p) == 1 && p[0] == 0:
		*text = nil
	case len(*text)+len(p) > limit:
		return ATTInsufficientResources
	default:
		*text = append(*text, p...)
	}
	return nil
}

// ReadValue returns the value of the key as text: strings without quotes, true or
// false, numbers. Keys that are no leaves have none. The error is an ATTError.
func (b *BLEConfig) ReadValue(ctx context.Context) ([]byte, error) {
	b.mu.Lock()
	params := append(mjson.AppendQuoteBytes([]byte(`{"key":`), b.key), '}')
	b.mu.Unlock()
	reply, err := b.call(ctx, configGet, params)
	if err != nil {
		return nil, err
	}
	reply = bytes.TrimSpace(reply)
	switch reply[0] {
	case '{', '[':
		return nil, ATTNotPermitted
	case '"':
		text, good := mjson.AppendUnquote(nil, reply)
		if !good {
			return nil, ATTUnlikely
		}
		return text, nil
	}
	return reply, nil
}

// WriteSave applies what was written: "0" sets the value, "1" also saves the
// configuration, "2" also reboots. Without a key it does only the latter. Key and
// value are empty afterwards. The error is an ATTError.
func (b *BLEConfig) WriteSave(ctx context.Context, p []byte) error {
	if len(p) != 1 || p[0] < '0' || p[0] > '2' {
		return ATTInvalidLength
	}
	b.mu.Lock()
	key, value := string(b.key), string(b.value)
	b.key, b.value = nil, nil
	b.mu.Unlock()
	if p[0] != '0' && !b.s.cfg.Gate.Listed(b.o, configSave) { // before anything is set
		b.s.stats.refused.Add(1)
		return ATTNotPermitted
	}
	if key != "" {
		text, err := b.encode(key, value)
		if err != nil {
			return ATTUnlikely
		}
		params := mjson.AppendQuote([]byte(`{"key":`), key)
		params = append(append(append(params, `,"value":`...), text...), '}')
		if _, err := b.call(ctx, configSet, params); err != nil {
			return err
		}
	}
	var err error
	switch p[0] {
	case '1':
		_, err = b.call(ctx, configSave, nil)
	case '2':
		_, err = b.call(ctx, configSave, []byte(`{"reboot":true}`))
	}
	return err
}

// call calls a method and returns its result.
func (b *BLEConfig) call(ctx context.Context, method string, params []byte) (result []byte, err error) {
	c := b.s.AcceptMethod(b.o, method, params)
	c.Serve(ctx, func(reply []byte) error {
		result = reply
		return nil
	})
	switch code := c.Code(); {
	case code == 0:
		return result, nil
	case code == 401 || code == 403:
		return nil, ATTNotPermitted
	case code == 429:
		return nil, ATTInsufficientResources
	}
	return nil, ATTUnlikely
}
