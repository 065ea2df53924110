package ccmtest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
	"github.com/ccmkit/ccmkit/shadow"
	"github.com/ccmkit/ccmkit/shadow/service"
)

// CloudOptions configures a [Cloud]. The zero value will do.
type CloudOptions struct {
	Broker BrokerOptions
	// Service configures the shadow service; its Transport is set.
	Service service.Config
}

// Cloud is a [Broker] with a shadow service beside it, which has the topics and
// the rules of AWS IoT. Shadows are named THING, or THING/NAME for a named one.
// All methods are safe for concurrent use.
type Cloud struct {
	*Broker
	// Service is the shadow service, for what the methods of Cloud do not do.
	Service *service.Service

	transport *Transport
	cancel    context.CancelFunc
	running   sync.WaitGroup
}

// NewCloud returns a running cloud. Close it at the end. It fails if the shadow
// service cannot use its directory.
func NewCloud(o CloudOptions) (*Cloud, error) {
	b := NewBroker(o.Broker)
	c := &Cloud{Broker: b, transport: b.NewTransport()}
	online := make(chan struct{}, 1)
	cfg := o.Service
	cfg.Transport = c.transport
	cfg.Observer = func(e service.Event) {
		if e.Kind == service.EventOnline {
			select {
			case online <- struct{}{}:
			default:
			}
		}
		if o.Service.Observer != nil {
			o.Service.Observer(e)
		}
	}
	var ctx context.Context
	ctx, c.cancel = context.WithCancel(context.Background())
	var err error
	if c.Service, err = service.New(cfg); err != nil {
		c.Close()
		return nil, fmt.Errorf("ccmtest: %w", err)
	}
	c.running.Go(func() { _ = c.Service.Run(ctx) }) // nil: nobody else runs it
	<-online
	return c, nil
}

// Close ends the service and the broker, and returns when nothing of either runs
// any more.
func (c *Cloud) Close() error {
	c.cancel()
	c.running.Wait()
	c.transport.Close()
	return c.Broker.Close()
}

// SetDesired merges JSON text into the desired state of a shadow, as a user of
// the cloud does: null removes a member, or with "null" the whole state. It
// returns when the answers have been published. A request that the service
// refuses is a *shadow.Error.
func (c *Cloud) SetDesired(thing, desired string) error { return c.update(thing, "desired", desired) }

// SetReported merges JSON text into the reported state, as a device does.
func (c *Cloud) SetReported(thing, reported string) error {
	return c.update(thing, "reported", reported)
}

func (c *Cloud) update(thing, section, state string) error {
	thing, name, _ := strings.Cut(thing, "/")
	request := `{"state":{` + strconv.Quote(section) + `:` + state + `}}`
	_, err := c.Service.Update(context.Background(), thing, name, []byte(request))
	return err
}

// ShadowState is what a shadow holds, as JSON text.
type ShadowState struct {
	Desired  string // "" if there is none
	Reported string
	Delta    string // what of Desired is not the same in Reported
	Version  int64  // 0 if there is no shadow
}

// Shadow returns a shadow; one that does not exist is empty.
func (c *Cloud) Shadow(thing string) ShadowState {
	thing, name, _ := strings.Cut(thing, "/")
	doc, err := c.Service.Get(thing, name)
	if err != nil {
		return ShadowState{}
	}
	return ShadowState{
		Desired:  mjson.Find(doc, "$.state.desired").String(),
		Reported: mjson.Find(doc, "$.state.reported").String(),
		Delta:    mjson.Find(doc, "$.state.delta").String(),
		Version:  mjson.GetInt(doc, "$.version", 0),
	}
}

// DeleteShadow deletes a shadow. It is no error if there is none.
func (c *Cloud) DeleteShadow(thing string) error {
	thing, name, _ := strings.Cut(thing, "/")
	err := c.Service.Delete(context.Background(), thing, name)
	if e, refused := errors.AsType[*shadow.Error](err); refused && e.Code == 404 {
		return nil
	}
	return err
}
