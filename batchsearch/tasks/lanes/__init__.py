"""A job with several instances on a Dask cluster: each instance's lane on a worker, watched over from here.

`lane_order` is what travels, `lane_worker` does it there, `lane_keeper` places lanes and moves them,
`lanes_together` adds up what they tell, `whole_run` decides whether a job is worked on so.
"""
