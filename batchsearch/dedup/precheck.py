class Precheck:
    def __init__(self, settings, dedup, folder):
        self.counts = {}
        self.matches = None
    async def prepare(self, job, manifest, given):
        return job
