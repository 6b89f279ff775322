package chat_test

import (
	"context"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"libchat.example/chat"
)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// traced is a context with a trace, as an instrumented program has one.
func traced(t *testing.T) context.Context {
	before := otel.GetTextMapPropagator()
	otel.SetTextMapPropagator(propagation.TraceContext{})
	t.Cleanup(func() { otel.SetTextMapPropagator(before) })
	carrier := propagation.MapCarrier{"traceparent": traceparent}
	return otel.GetTextMapPropagator().Extract(within(t, 20*time.Second), carrier)
}

func traceOf(ctx context.Context) string {
	return trace.SpanContextFromContext(ctx).TraceID().String()
}

func TestATraceGoesWithAMessage(t *testing.T) {
	ctx, ana := traced(t), open(t, "ana")
	messages := ana.Messages(ctx, "plan")
	check(t, ana.Send(ctx, "plan", "1"))
	_, err := ana.SendMessage(ctx, chat.Outgoing{
		Thread: "plan", Body: "2", Headers: chat.Headers{"traceparent": {"the caller's"}},
	})
	check(t, err)
	var got []chat.Message
	for message, err := range messages {
		check(t, err)
		if got = append(got, message); len(got) == 2 {
			break
		}
	}
	same(t, got[0].Headers.Get("traceparent"), traceparent)
	same(t, traceOf(got[0].Context(t.Context())), traceOf(ctx))
	same(t, got[1].Headers.Get("traceparent"), "the caller's")
}

func TestATraceGoesWithARequest(t *testing.T) {
	ctx, ana := traced(t), open(t, "ana")
	_, err := ana.Answer(ctx, func(ctx context.Context, _ chat.Request) ([]byte, error) {
		return []byte(traceOf(ctx)), nil
	})
	check(t, err)
	reply, err := ana.Ask(ctx, "ana", nil)
	check(t, err)
	same(t, string(reply), traceOf(ctx))
}
