"""The examples of the Runicorn Metrics API document (v1.0), as it prints them; only the address and the run id are put in.

`HOST` and `RUN` stand for them. What waits for ever in the document (a log stream) is given a last line to end at.
"""

PLOT = """
import matplotlib; matplotlib.use("Agg")
import requests
import matplotlib.pyplot as plt

run_id = "RUN"
response = requests.get(f'http://HOST/api/runs/{run_id}/metrics')
data = response.json()

# Extract data
time_values = [row['time'] for row in data['rows']]
loss_values = [row['loss'] for row in data['rows']]
acc_values = [row['accuracy'] for row in data['rows']]

# Plot
fig, (ax1, ax2) = plt.subplots(2, 1, figsize=(10, 8))

ax1.plot(time_values, loss_values)
ax1.set_ylabel('Loss')
ax1.set_title('Training Loss')

ax2.plot(time_values, acc_values)
ax2.set_xlabel('Time (seconds)')
ax2.set_ylabel('Accuracy')
ax2.set_title('Training Accuracy')

plt.tight_layout()
plt.show()
"""

STAGES = """
import requests
import pandas as pd

run_id = "RUN"
response = requests.get(f'http://HOST/api/runs/{run_id}/metrics_step')
data = response.json()

# Convert to DataFrame for analysis
df = pd.DataFrame(data['rows'])

# Analyze by stage
for stage in df['stage'].unique():
    stage_data = df[df['stage'] == stage]

    print(f"\\nStage: {stage}")
    print(f"  Steps: {stage_data['global_step'].min()} - {stage_data['global_step'].max()}")
    print(f"  Final loss: {stage_data['loss'].iloc[-1]:.4f}")
    print(f"  Final accuracy: {stage_data['accuracy'].iloc[-1]:.4f}")

# Find best accuracy
best_idx = df['accuracy'].idxmax()
best_row = df.loc[best_idx]

print(f"\\nBest accuracy: {best_row['accuracy']:.4f} at step {best_row['global_step']}")
"""

GROUPS = """
import requests
from collections import defaultdict

run_id = "RUN"
response = requests.get(f'http://HOST/api/runs/{run_id}/metrics_step')
data = response.json()

# Group metrics by stage
by_stage = defaultdict(list)

for row in data['rows']:
    stage = row.get('stage', 'default')
    by_stage[stage].append(row)

# Analyze each stage
for stage, rows in by_stage.items():
    losses = [r['loss'] for r in rows if 'loss' in r]

    print(f"\\nStage: {stage}")
    print(f"  Steps: {len(rows)}")
    print(f"  Avg loss: {sum(losses)/len(losses):.4f}")
    print(f"  Final loss: {losses[-1]:.4f}")
"""

CSV = """
import requests
import csv

run_id = "RUN"
response = requests.get(f'http://HOST/api/runs/{run_id}/metrics_step')
data = response.json()

# Write to CSV
with open(f'{run_id}_metrics.csv', 'w', newline='') as f:
    writer = csv.DictWriter(f, fieldnames=data['columns'])
    writer.writeheader()
    writer.writerows(data['rows'])

print(f"Metrics exported to {run_id}_metrics.csv")
"""

WEBSOCKETS = """
import asyncio
import websockets

async def stream_logs(run_id):
    \"\"\"Stream logs in real-time\"\"\"

    uri = f"ws://HOST/api/runs/{run_id}/logs/ws"

    async with websockets.connect(uri) as websocket:
        print(f"Connected to {run_id} logs\\n", flush=True)

        try:
            while True:
                message = await websocket.recv()
                print(message, flush=True)
                if message == "end": break

        except websockets.exceptions.ConnectionClosed:
            print("\\nConnection closed")

# Usage
run_id = "RUN"
asyncio.run(stream_logs(run_id))
"""

WEBSOCKET_CLIENT = """
from websocket import create_connection

run_id = "RUN"
ws = create_connection(f"ws://HOST/api/runs/{run_id}/logs/ws")

print(f"Streaming logs for {run_id}...\\n", flush=True)

try:
    while True:
        message = ws.recv()
        print(message, flush=True)
        if message == "end": break
except KeyboardInterrupt:
    print("\\nStopped")
finally:
    ws.close()
"""

BROWSER = """<!doctype html><div id="logs"></div><script>
function streamLogs(runId) {
  const ws = new WebSocket(`ws://HOST/api/runs/${runId}/logs/ws`)

  ws.onopen = () => {
    console.log('Connected to log stream')
  }

  ws.onmessage = (event) => {
    // Append log line to UI
    const logLine = event.data
    console.log(logLine)

    // Or update DOM
    const logContainer = document.getElementById('logs')
    const line = document.createElement('div')
    line.textContent = logLine
    logContainer.appendChild(line)

    // Auto-scroll
    logContainer.scrollTop = logContainer.scrollHeight
  }

  ws.onerror = (error) => {
    console.error('WebSocket error:', error)
  }

  ws.onclose = () => {
    console.log('Disconnected from log stream')

    // Auto-reconnect with exponential backoff
    setTimeout(() => streamLogs(runId), 5000)
  }

  return ws
}

// Usage
const ws = streamLogs("RUN")
</script>"""
