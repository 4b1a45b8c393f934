// Reads a ledger's tiles from a web server with the code of Go's checksum database, and nothing of idtone:
//
//	client URL VKEY
//
// It verifies the note's signature, the tree from its tiles, and the inclusion of every entry, and prints the number of
// entries. Exit 1: something is wrong.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

type site struct{ address string }

func (s site) get(path string) ([]byte, error) {
	response, err := http.Get(s.address + "/" + path)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, response.Status)
	}
	return io.ReadAll(response.Body)
}

// path is the path of a tile by C2SP tlog-tiles, which has no height in it, and another name for the entries.
func path(tile tlog.Tile) string {
	if tile.L == -1 {
		return strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/data/", height), "tile/entries/", 1)
	}
	return strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", height), "tile/", 1)
}

func (s site) Height() int { return height }

func (s site) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range tiles {
		data, err := s.get(path(tile))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func (s site) SaveTiles([]tlog.Tile, [][]byte) {}

// cached keeps the tiles that were verified.
type cached struct {
	site
	tiles map[string][]byte
}

func (c cached) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range tiles {
		data, ok := c.tiles[tile.Path()]
		if !ok {
			read, err := c.site.ReadTiles([]tlog.Tile{tile})
			if err != nil {
				return nil, err
			}
			data = read[0]
		}
		found = append(found, data)
	}
	return found, nil
}

func (c cached) SaveTiles(tiles []tlog.Tile, data [][]byte) {
	for i, tile := range tiles {
		c.tiles[tile.Path()] = data[i]
	}
}

func checkpoint(text string) (tlog.Tree, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 {
		return tlog.Tree{}, fmt.Errorf("the checkpoint has %d lines", len(lines))
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return tlog.Tree{}, fmt.Errorf("the root is %q", lines[2])
	}
	return tlog.Tree{N: size, Hash: tlog.Hash(root)}, nil
}

func entries(data []byte, count int) ([][]byte, error) {
	var found [][]byte
	for len(found) < count {
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("the bundle has %d entries instead of %d", len(found), count)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		found, data = append(found, data[2:end]), data[end:]
	}
	if len(data) > 0 {
		return nil, fmt.Errorf("%d bytes follow the entries", len(data))
	}
	return found, nil
}

func verify(address, key string) (int64, error) {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return 0, err
	}
	from := cached{site{address}, map[string][]byte{}}
	signed, err := from.get("checkpoint")
	if err != nil {
		return 0, err
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return 0, err
	}
	tree, err := checkpoint(opened.Text)
	if err != nil {
		return 0, err
	}
	if strings.Split(opened.Text, "\n")[0] != verifier.Name() {
		return 0, fmt.Errorf("the checkpoint is of another log")
	}
	hashes := tlog.TileHashReader(tree, from)
	for begin := int64(0); begin < tree.N; begin += 1 << height {
		tile := tlog.Tile{H: height, L: -1, N: begin >> height, W: int(min(tree.N-begin, 1<<height))}
		data, err := from.get(path(tile))
		if err != nil {
			return 0, err
		}
		found, err := entries(data, tile.W)
		if err != nil {
			return 0, err
		}
		for i, entry := range found {
			index := begin + int64(i)
			proof, err := tlog.ProveRecord(tree.N, index, hashes)
			if err != nil {
				return 0, err
			}
			if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)); err != nil {
				return 0, fmt.Errorf("entry %d: %w", index, err)
			}
		}
	}
	return tree.N, nil
}

func main() {
	count, err := verify(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(count)
}
