from tests.toy_body import toy_model

from vhlib.body.model_files import read_model, write_model


def test_written_model_reads_back_and_rewrites_to_the_same_bytes(tmp_path):
    first, second = tmp_path / "first.npz", tmp_path / "second.npz"
    write_model(toy_model(), first)
    write_model(read_model(first), second)
    assert first.read_bytes() == second.read_bytes()
