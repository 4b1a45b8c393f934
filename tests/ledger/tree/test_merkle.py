"""The tree, compared with the definition of RFC 6962 and with the test values of Certificate Transparency's
implementations.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idtone.core.errors import ProofError
from idtone.ledger.tree import merkle
from idtone.ledger.tree.merkle import Frontier, Subtree, check_consistency, leaf_hash, node_hash, root_by_inclusion
from lab.ledger.tree import reference
from lab.ledger.tree.reference import LEAVES, ROOTS, Stored

A, B, C, D = """
    96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7
    5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e
    6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4
    bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b
""".split()
E, F = """
    ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0
    0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a
""".split()
PATHS = {(0, 1): [], (0, 8): [A, B, C], (5, 8): [D, E, ROOTS[4].hex()], (2, 3): [ROOTS[2].hex()]}
CONSISTENCY = {(1, 1): [], (1, 8): [A, B, C], (6, 8): [F, E, ROOTS[4].hex()], (2, 5): [B, D]}


def leaves(size: int) -> list[bytes]:
    return [str(number).encode() for number in range(size)]


CONTENT = leaves(40)


def test_the_roots_and_proofs_of_certificate_transparency():
    read = Stored(LEAVES).read
    for size, root in enumerate(ROOTS):
        assert Stored(LEAVES[:size]).frontier.root() == merkle.root(size, read) == root
    for (index, size), path in PATHS.items():
        proof = merkle.inclusion_proof(index, size, read)
        assert [each.hex() for each in proof] == path
        assert root_by_inclusion(index, size, leaf_hash(LEAVES[index]), proof) == ROOTS[size]
    for (old, size), path in CONSISTENCY.items():
        proof = merkle.consistency_proof(old, size, read)
        assert [each.hex() for each in proof] == path
        check_consistency(old, ROOTS[old], size, ROOTS[size], proof)


def test_every_proof_is_that_of_the_rfc_and_is_believed():
    for size in range(1, 41):
        content, tree = CONTENT[:size], Stored(CONTENT[:size])
        assert len(tree.hashes) == merkle.stored_hashes(size)
        root = reference.root(content)
        assert tree.frontier.root() == merkle.root(size, tree.read) == root
        for index in range(size):
            inclusion = merkle.inclusion_proof(index, size, tree.read)
            assert inclusion == reference.path(index, content)
            assert root_by_inclusion(index, size, leaf_hash(content[index]), inclusion) == root
            reached = leaf_hash(content[index])
            for level in merkle.path_by_inclusion(index, size, reached, inclusion):
                left, right = (level.sibling, reached) if level.is_left else (reached, level.sibling)
                reached = level.hash
                assert reached == node_hash(left, right)
            old = index + 1
            consistency = merkle.consistency_proof(old, size, tree.read)
            assert consistency == reference.proof(old, content)
            check_consistency(old, reference.root(content[:old]), size, root, consistency)


def damaged(proof: list[bytes]) -> list[list[bytes]]:
    """Changed proofs: a hash is missing, replaced or added."""
    places = range(len(proof))
    without = [proof[:place] + proof[place + 1 :] for place in places]
    changed = [[*proof[:place], bytes(32), *proof[place + 1 :]] for place in places]
    return [*without, *changed, [*proof, bytes(32)]]


def test_a_damaged_proof_is_not_believed():
    for size in range(1, 21):
        content, tree = CONTENT[:size], Stored(CONTENT[:size])
        root = reference.root(content)
        for index in range(size):
            leaf, inclusion = leaf_hash(content[index]), merkle.inclusion_proof(index, size, tree.read)
            for proof in damaged(inclusion):
                if len(proof) == len(inclusion):
                    assert root_by_inclusion(index, size, leaf, proof) != root
                else:
                    with pytest.raises(ProofError):
                        root_by_inclusion(index, size, leaf, proof)
            old_root = reference.root(content[: index + 1])
            for proof in damaged(merkle.consistency_proof(index + 1, size, tree.read)):
                with pytest.raises(ProofError):
                    check_consistency(index + 1, old_root, size, root, proof)


def test_each_place_of_the_list_is_that_of_one_subtree():
    """Each place has a level and a number: the subtree of the leaves from `number << level` on."""
    tree = Stored(CONTENT)
    for place, stored in enumerate(tree.hashes):
        subtree = Subtree.at(place)
        first = subtree.number << subtree.level
        assert subtree.place == place
        assert stored == reference.root(CONTENT[first : first + (1 << subtree.level)])


@given(st.integers(0, 200), st.integers(0, 60))
def test_a_tree_goes_on_from_what_was_kept(size, more):
    whole = Stored(leaves(size + more))
    again = Frontier.read(size, whole.read)
    before = again.copy()
    grown = [each for content in leaves(size + more)[size:] for each in again.append(leaf_hash(content))]
    assert grown == whole.hashes[merkle.stored_hashes(size) :]
    assert again.root() == whole.frontier.root()
    assert before.root() == merkle.root(size, whole.read)


def test_the_empty_tree_begins_every_other():
    check_consistency(0, merkle.EMPTY_ROOT, 8, ROOTS[8], [])
    assert merkle.consistency_proof(0, 8, Stored(LEAVES).read) == []
    with pytest.raises(ProofError, match="the roots differ"):
        check_consistency(0, ROOTS[1], 8, ROOTS[8], [])


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (lambda read: merkle.inclusion_proof(8, 8, read), "no leaf 8"),
        (lambda read: merkle.inclusion_proof(-1, 8, read), "no leaf -1"),
        (lambda read: merkle.consistency_proof(9, 8, read), "never had 9"),
        (lambda read: merkle.consistency_proof(-1, 8, read), "never had -1"),
        (lambda read: root_by_inclusion(8, 8, ROOTS[1], []), "no leaf 8"),
        (lambda read: root_by_inclusion(0, 8, ROOTS[1], merkle.inclusion_proof(0, 4, read)), "too short"),
        (lambda read: check_consistency(9, ROOTS[8], 8, ROOTS[8], []), "never had 9"),
        (lambda read: check_consistency(-1, ROOTS[0], 8, ROOTS[8], []), "never had -1"),
        (lambda read: check_consistency(8, ROOTS[7], 8, ROOTS[8], []), "the roots differ"),
        (lambda read: check_consistency(8, ROOTS[8], 8, ROOTS[8], [bytes(32)]), "proof is too long"),
        (lambda read: check_consistency(3, ROOTS[3], 8, ROOTS[8], []), "too short"),
    ],
)
def test_what_no_tree_has_is_refused(wrong, why):
    with pytest.raises(ProofError, match=why):
        wrong(Stored(LEAVES).read)


def test_a_proof_reads_few_hashes():
    size = 10_001
    tree = Stored(leaves(size))
    read: list[int] = []

    def counting(places):
        read.extend(places)
        return tree.read(places)

    merkle.inclusion_proof(777, size, counting)
    merkle.consistency_proof(3333, size, counting)
    assert len(read) < 100
