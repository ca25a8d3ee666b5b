"""How a vision-language model is served and asked. Knows neither `runner` nor `metrics`, and works without them.

Start an engine and ask it one question:

    import asyncio
    from pathlib import Path
    from backends import registry
    from backends.api import EngineSpec, GenerationRequest, ImagePart, Message, TextPart
    from backends.client import Client
    from backends.pool import Pool
    from backends.process.server import start

    async def ask(endpoint, request):
        async with Client(endpoint, timeout_s=60) as client:
            return await client.ask(request)

    with Pool() as pool:
        spec = EngineSpec("hf", checkpoint="assets/demo_models/demo_m/bf16")
        backend = registry.find(spec.backend)
        engine, _ = pool.acquire(spec, lambda spec: start(backend, spec, log_path=Path("engine.log")))
        parts = (ImagePart.from_file("passport.png"), TextPart("What is the surname?"))
        generation = asyncio.run(ask(engine.endpoint, GenerationRequest("1", (Message("user", parts),))))
        print(generation.text if generation.error is None else generation.error.message)
"""
