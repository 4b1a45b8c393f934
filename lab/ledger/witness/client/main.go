// Has a log of its own cosigned by a witness, with the code of sigsum-go, and nothing of idtone:
//
//	client URL SEED WITNESS SIZE...
//
// SEED is the log's key, WITNESS the witness's public key, both in hex. The log begins with no leaf. For each size it has
// that many leaves, asks for a cosignature from the size that it believes to be the last one, and once more if the
// witness knows another size. It prints the sizes with the times of the cosignatures, which it verifies, or the witness's
// size on a line with "conflict". A size with "!" is asked for with another root. Exit 1: something is wrong.
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"

	"sigsum.org/sigsum-go/pkg/api"
	"sigsum.org/sigsum-go/pkg/checkpoint"
	"sigsum.org/sigsum-go/pkg/client"
	"sigsum.org/sigsum-go/pkg/crypto"
	"sigsum.org/sigsum-go/pkg/merkle"
	"sigsum.org/sigsum-go/pkg/requests"
	"sigsum.org/sigsum-go/pkg/types"
)

func need(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	signer, err := crypto.SignerFromHex(os.Args[2])
	need(err)
	witness, err := crypto.PublicKeyFromHex(os.Args[3])
	need(err)
	public := signer.Public()
	origin := types.SigsumCheckpointOrigin(&public)
	asking := client.New(client.Config{URL: os.Args[1], UserAgent: "test"})
	tree, believed := merkle.NewTree(), uint64(0)
	for _, word := range os.Args[4:] {
		size, err := strconv.ParseUint(strings.TrimSuffix(word, "!"), 10, 64)
		need(err)
		for tree.Size() < size {
			var number [8]byte
			binary.BigEndian.PutUint64(number[:], tree.Size())
			leaf := merkle.HashLeafNode(number[:])
			tree.AddLeafHash(&leaf)
		}
		head := types.TreeHead{Size: size, RootHash: tree.GetRootHash()}
		if strings.HasSuffix(word, "!") {
			head.RootHash[0] ^= 1
		}
		signed, err := head.Sign(signer)
		need(err)
		asked := checkpoint.Checkpoint{SignedTreeHead: signed, Origin: origin, KeyId: checkpoint.NewLogKeyId(origin, &public)}
		for try := 0; ; try++ {
			path, err := tree.ProveConsistency(believed, size)
			need(err)
			lines, err := asking.AddCheckpoint(context.Background(),
				requests.AddCheckpoint{OldSize: believed, Proof: types.ConsistencyProof{Path: path}, Checkpoint: asked})
			if known, isConflict := api.ErrorConflictOldSize(err); isConflict && try == 0 {
				fmt.Println("conflict", known)
				believed = known
				continue
			}
			if err != nil {
				fmt.Println("refused", size)
				break
			}
			cosigned, err := asked.VerifyCosignatureByKey(lines, &witness)
			need(err)
			fmt.Println(size, cosigned.Timestamp)
			believed = size
			break
		}
	}
}
