// Command grpc-go makes calls on one connection: some with a large message, one
// after the other, and then many with an empty one, all at once. It prints how
// each ended, one a line.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// rawCodec takes messages as bytes, so that no generated code is needed.
type rawCodec struct{}

func (rawCodec) Marshal(message any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*message.(*[]byte))}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, message any) error {
	*message.(*[]byte) = data.Materialize()
	return nil
}

func (rawCodec) Name() string { return "proto" }

func main() {
	address := flag.String("address", "", "where the server listens")
	method := flag.String("method", "", "such as /parlance.chat.v1.ChatService/SendDirect")
	token := flag.String("token", "", "a session token; without it calls have none")
	large := flag.Int("large", 1, "how many calls carry a large message")
	size := flag.Int("size", 200_000, "the bytes of a large message")
	small := flag.Int("small", 0, "how many calls follow with an empty message")
	flag.Parse()

	connection, err := grpc.NewClient(*address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if *token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+*token)
	}
	call := func(bytes int) codes.Code {
		request, response := make([]byte, bytes), []byte{}
		return status.Code(connection.Invoke(ctx, *method, &request, &response, grpc.ForceCodecV2(rawCodec{})))
	}
	for range *large {
		fmt.Println(call(*size))
	}
	ended := make(chan codes.Code)
	for range *small {
		go func() { ended <- call(0) }()
	}
	for range *small {
		fmt.Println(<-ended)
	}
}
