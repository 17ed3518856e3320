"""Where a recording passes from one topic to the next.

The division into consecutive stretches under which sentences are most alike within a stretch, found
exactly by dynamic programming over the similarity of sentences (after Utiyama and Isahara, "A
statistical model for domain-independent text segmentation", ACL 2001, with cosine for likelihood).
"""

from collections.abc import Sequence

import numpy as np

from fls_models.answering.readers.relevance import Relevance
from fls_models.core.results import Sentence

# What one more stretch must gain in likeness.
_PRICE = 0.04
_MAX_COMPARED = 800


def topics(sentences: Sequence[Sentence], *, shortest: float, max_topics: int) -> list[range]:
    """Ranges of sentence indices, in order, covering all.

    Args:
        shortest: seconds that a stretch lasts at least, where the recording is that long.
        max_topics: stretches at most.
    """
    if not sentences:
        return []
    # Time and memory grow with the square of what is compared: of hours of talk, groups are.
    step = -(-len(sentences) // _MAX_COMPARED)
    if step > 1:
        groups = [
            Sentence(tuple(word for sentence in sentences[i : i + step] for word in sentence.words))
            for i in range(0, len(sentences), step)
        ]
        return [
            range(topic.start * step, min(topic.stop * step, len(sentences)))
            for topic in topics(groups, shortest=shortest, max_topics=max_topics)
        ]
    similarity = Relevance([sentence.text for sentence in sentences]).similarity()
    np.fill_diagonal(similarity, 0.0)
    count = len(sentences)
    background = similarity.sum() / max(1, count * (count - 1))
    similarity = similarity - background * (1 - np.eye(count))
    # area[i, j]: likeness summed over the square of sentences i .. j - 1
    corner = np.zeros((count + 1, count + 1))
    corner[1:, 1:] = similarity.cumsum(axis=0).cumsum(axis=1)
    starts = np.array([sentence.start for sentence in sentences])
    ends = np.array([sentence.end for sentence in sentences])

    best = np.full((max_topics + 1, count + 1), -np.inf)
    came_from = np.zeros((max_topics + 1, count + 1), np.int64)
    best[0, 0] = 0.0
    for end in range(1, count + 1):
        begins = np.arange(end)
        area = corner[end, end] - 2 * corner[begins, end] + corner[begins, begins]
        gain = area / (end - begins) - _PRICE
        whole = (begins == 0) & (end == count)
        gain[(ends[end - 1] - starts[begins] < shortest) & ~whole] = -np.inf
        for number in range(1, max_topics + 1):
            total = best[number - 1, :end] + gain
            came_from[number, end] = total.argmax()
            best[number, end] = total.max()
    number = int(best[:, count].argmax())
    ranges: list[range] = []
    end = count
    while number:
        begin = int(came_from[number, end])
        ranges.append(range(begin, end))
        end, number = begin, number - 1
    return ranges[::-1]
