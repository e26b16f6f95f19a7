"""Which products of a catalogue are the same, night after night.

The way of a night: the instance is brought in step (when asked), every new or changed image is searched,
hits become pairs of products, pairs become clusters. Search and upkeep are ordinary runs in `search/`,
`sync/add/`, `sync/update/` and `sync/delete/`; `pairs/`, `clusters/` and `dedup.json` are computed anew each
night from what those hold.

**Why searching only the newer member of a pair is enough.** A search of image B lists every image of the
instance that is like B, whether those were added tonight or years ago, and likeness is the same from both
sides. So of two alike images the one that is searched later finds the earlier one: an old image needs no
new search because a new one has come. The hits of all nights stay in `search/hits`, and the pairs are always
made from all of them.

**What weakens this, and what is done about it.**

* *Changed images.* A hit of an older search on an image that was changed since speaks of the old image.
  It is not trusted (`candidates.hits`); the changed image has a search of its own, which decides.
* *Deletions.* A product that the manifest no longer has stays among the old hits. It is left out of pairs and
  clusters (`dedup.outside: drop`) and counted. With `sync: delete` its images leave the instance, too, unless
  more have left than `dedup.max_deleted` allows; with `add` beside it one that comes back is added again.
* *A list that is too short.* A search lists `results_per_row` images, 100 where nothing is set, and one of
  each product where products have several. A product with more duplicates than that pushes some out.
  Searches whose list was full to its end with scores that would have counted are told in the summary
  (`searches_cut`), and the chain guard does not take silence of such a product for a difference.
* *Searching first.* With `order: search_first` tonight's images are not in the instance while they are
  searched: pairs among tonight's own are missed for good, as neither is searched again. Add first, unless the
  instance must not hold tonight's images yet.
* *A changed index.* Should the vendor change how likeness is measured, or somebody refill the instance, old
  hits and new ones are no longer comparable, and images that others added have not been searched against.
  Set `reuse.renew_after_hours` to have old rows searched again, or give the job a new `output.dir`.
* *Failed rows.* An image that could not be searched finds nothing; later ones still find it if it is in the
  instance. Failures that may pass are asked for again on the next night.

**How it is decided.** A pair is accepted by its score, and by its colours: where the two best matching
images differ in colour (`dedup.colours`), the products are variants. People's judgements win over both.
Clusters are connected components, taken apart by the chain guard (`clusters.chains`).
"""
