import { useMemo, useState } from 'react'
import { combinedStatus, describeCounts, type GraphNode } from '@/components/stage-graph/model'
import { StageGraph } from '@/components/stage-graph/stage-graph'
import { Button } from '@/components/ui/button'
import { useMediaQuery } from '@/hooks/use-media-query'
import type { Schemas } from '@/lib/api'
import { formatClock, formatCount, formatDuration, plural } from '@/lib/format'
import { appearance, hasEnded, shownStatus } from '@/lib/status'

type StageRun = Schemas['StageRunBody']

type ExecutionGraphProps = {
  stages: StageRun[]
  selected: string | null
  onSelect: (stage: string) => void
}

/** On a phone the cause comes first; the graph waits behind a button. */
export function ExecutionGraph({ stages, selected, onSelect }: ExecutionGraphProps) {
  const nodes = useMemo(() => toNodes(stages), [stages])
  const phone = useMediaQuery('(max-width: 699px)')
  const [wanted, setWanted] = useState(false)
  const folded = phone && !wanted
  return (
    <StageGraph
      nodes={nodes}
      selected={selected}
      onSelect={onSelect}
      folded={folded}
      tools={
        phone && (
          <Button size="small" aria-expanded={!folded} onClick={() => setWanted(!wanted)}>
            {folded ? 'Show' : 'Hide'}
          </Button>
        )
      }
    />
  )
}

/** "40 items" when all went well, otherwise "2 of 40 failed", or how far they are: "12 of 40". */
function itemCaption({ count, states }: Schemas['ItemCounts']): string {
  const done = states.success ?? 0
  const failed = (states.failed ?? 0) + (states.timed_out ?? 0)
  if (done === count) return plural(count, 'item')
  return failed > 0
    ? `${formatCount(failed)} of ${formatCount(count)} failed`
    : `${formatCount(done)} of ${formatCount(count)}`
}

function toNodes(stages: StageRun[]): GraphNode[] {
  const runsOf = new Map<string, StageRun[]>()
  // Handlers need nothing of the stages: they stand in the timeline.
  for (const run of stages.filter(({ phase }) => phase === 'main'))
    runsOf.set(run.stage, [...(runsOf.get(run.stage) ?? []), run])
  return [...runsOf].map(([id, runs]) => {
    const [first] = runs
    const statuses = runs.map(shownStatus)
    return {
      id,
      label: first?.name ?? id,
      needs: first?.needs ?? [],
      status: combinedStatus(statuses),
      caption: first && runs.length === 1 ? caption(first) : describeCounts(statuses),
    }
  })
}

/** "0.5 s, 8,412" for a success with rows; otherwise the state's word and what is known. */
function caption(run: StageRun): string {
  const seconds =
    run.duration_seconds === null || !hasEnded(run.status)
      ? []
      : [formatDuration(run.duration_seconds)]
  if (run.items) return itemCaption(run.items)
  if (shownStatus(run) === 'success') {
    return [...seconds, ...(run.rows === null ? [] : [formatCount(run.rows)])].join(', ')
  }
  const word = appearance(shownStatus(run)).word.toLowerCase()
  if (run.status === 'running' && run.attempt > 1) return `${word}, attempt ${run.attempt}`
  if (run.status === 'waiting' && run.waits_for !== 'approval' && run.due_at) {
    return `until ${formatClock(run.due_at)}`
  }
  return [word, ...seconds].join(', ')
}
