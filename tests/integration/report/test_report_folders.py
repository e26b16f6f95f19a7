def test_x(searched, compared, deduped):
    import shutil, os
    shutil.rmtree("/tmp/w/rep/fx", ignore_errors=True); os.makedirs("/tmp/w/rep/fx")
    shutil.copytree(deduped.folder, "/tmp/w/rep/fx/dedup", symlinks=False)
    shutil.copytree(compared.folder, "/tmp/w/rep/fx/compare")
    shutil.copytree(searched.folder, "/tmp/w/rep/fx/search")
