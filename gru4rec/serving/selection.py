"""Select the best items by the scores of all."""

import torch
from torch import Tensor

_GROUP = 16  # items whose best score is looked at first; of 8 to 64 the fastest at 50,000 items


# M rows, N items, G groups
def top_k(scores_MN: Tensor, k: int) -> Tensor:
    """Return the items of the k largest scores of each row [M, k]; of equal ones the lower index
    first."""
    size = scores_MN.shape[1]
    if 4 * k > size:
        return torch.sort(scores_MN, dim=1, descending=True, stable=True).indices[:, :k]
    values, items = _largest(scores_MN, k + 1)
    items = items[:, :k].sort(dim=1).values
    # Where the k-th place is tied, which of the equal ones torch returned is chance.
    tied = (values[:, k - 1] == values[:, k]).nonzero().squeeze(1)
    if len(tied):
        scores, least = scores_MN[tied], values[tied, k - 1 : k]
        above, equal = scores > least, scores == least
        free = k - above.sum(1, keepdim=True)
        chosen = above | (equal & (equal.cumsum(1, dtype=torch.int32) <= free))
        items[tied] = chosen.nonzero()[:, 1].view(len(tied), k)
    order = scores_MN.gather(1, items).sort(dim=1, descending=True, stable=True).indices
    return items.gather(1, order)


def _largest(scores_MN: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k largest scores of each row, falling, and their items [M, k]; any of equal ones.

    The k groups with the largest best scores hold k largest scores. A row is so read once, in order
    and by wide instructions, which takes a fifth of `torch.topk`'s time.
    """
    num_groups = scores_MN.shape[1] // _GROUP
    if num_groups < 4 * k:
        values, items = torch.topk(scores_MN, k, dim=1)
        return values, items
    grouped = num_groups * _GROUP  # item i is in the group i mod G; the last few are in none
    best_MG = scores_MN[:, :grouped].view(-1, _GROUP, num_groups).amax(1)
    groups = torch.topk(best_MG, k, dim=1, sorted=False).indices
    device = scores_MN.device
    rest = torch.arange(grouped, scores_MN.shape[1], device=device)
    members = groups.unsqueeze(2) + torch.arange(0, grouped, num_groups, device=device)
    candidates = torch.cat((members.flatten(1), rest.expand(len(groups), -1)), dim=1)
    values, places = torch.topk(scores_MN.gather(1, candidates), k, dim=1)
    return values, candidates.gather(1, places)
