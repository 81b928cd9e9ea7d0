import av
import numpy as np
import pytest

from vhlib.data.videos import image_size, read_frames


@pytest.fixture
def video(tmp_path):
    """Ten pictures of 64x48, each a little brighter than the one before."""
    path = tmp_path / "ramp.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(10):
            picture = np.full((48, 64, 3), 20 + 20 * i, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_all_pictures_come_in_order(video):
    pictures = list(read_frames(video))
    assert [p.shape for p in pictures] == [(48, 64, 3)] * 10
    assert [round(p.mean()) for p in pictures] == pytest.approx(
        [20 + 20 * i for i in range(10)], abs=4
    )
    assert pictures[0].dtype == np.uint8


def test_chosen_pictures_only(video):
    means = [round(p.mean()) for p in read_frames(video, [7, 2])]
    assert means == pytest.approx([60, 160], abs=4)


def test_beyond_the_end_is_an_error(video):
    pictures = read_frames(video, [3, 12])
    assert next(pictures).shape == (48, 64, 3)
    with pytest.raises(IndexError, match=r"ramp\.mp4 has no frame 12"):
        next(pictures)


def test_no_pictures_asked_none_given(video):
    assert list(read_frames(video, [])) == []


def test_size_is_width_then_height(video):
    assert image_size(video) == (64, 48)


def test_not_a_video(tmp_path):
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    with pytest.raises(ValueError, match=r"text\.mp4: not a video"):
        next(read_frames(path))


def test_sound_alone(tmp_path):
    path = tmp_path / "voice.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        silence = np.zeros((1, 800), dtype=np.int16)
        frame = av.AudioFrame.from_ndarray(silence, format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    for read in (image_size, lambda path: next(read_frames(path))):
        with pytest.raises(ValueError, match=r"voice\.wav: not a video, there are no pictures"):
            read(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        next(read_frames(tmp_path / "none.mp4"))
