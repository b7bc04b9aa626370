import { useNavigate } from 'react-router'
import type { Schemas } from '@/lib/api'
import { formatDuration, formatMoment } from '@/lib/format'
import { appearance, isFailure, TONE_FILL } from '@/lib/status'

type RunBar = Schemas['RunBar']

const SHOWN = 20
const STEP = 8.2
const WIDTH = 5.6
const HEIGHT = 26
const SHORTEST = 8
const TALLEST = 21

/**
 * The latest executions, oldest first, as bars as high as they were long. A failed one carries a cross, so that it
 * stands out without colour. A click on a bar opens it; a keyboard finds
 * the same executions listed on the pipeline's page.
 */
export function RunBars({ runs }: { runs: RunBar[] }) {
  const navigate = useNavigate()
  const shown = runs.slice(-SHOWN)
  const longest = Math.max(0, ...shown.map((run) => run.duration_seconds ?? 0))
  const empty = SHOWN - shown.length
  return (
    <svg
      width={SHOWN * STEP}
      height={HEIGHT}
      role="img"
      aria-label={describeRuns(shown)}
      // Above the link that covers the row.
      className="relative z-10"
    >
      {Array.from({ length: empty }, (_, slot) => (
        <rect
          key={slot}
          x={slot * STEP}
          y={HEIGHT - 3}
          width={WIDTH}
          height={3}
          rx={1.5}
          fill="var(--color-border)"
        />
      ))}
      {shown.map((run, position) => {
        const { tone, word } = appearance(run.status)
        const height = barHeight(run.duration_seconds, longest)
        const x = (empty + position) * STEP
        return (
          <g
            key={run.id}
            className="cursor-pointer"
            onClick={() => void navigate(`/executions/${run.id}`)}
          >
            <title>
              {`#${run.number} ${word.toLowerCase()}, ${formatMoment(run.created_at)}`}
              {run.duration_seconds === null ? '' : `, ${formatDuration(run.duration_seconds)}`}
            </title>
            <rect x={x} y={0} width={STEP} height={HEIGHT} fill="transparent" />
            <rect
              x={x}
              y={HEIGHT - height}
              width={WIDTH}
              height={height}
              rx={1.6}
              fill={TONE_FILL[tone]}
            />
            {isFailure(run.status) && (
              <path
                d={`M${x + 0.8} ${HEIGHT - height - 4.6}l4 4m0 -4l-4 4`}
                stroke="var(--color-state-failed)"
                strokeWidth={1.4}
              />
            )}
          </g>
        )
      })}
    </svg>
  )
}

function barHeight(seconds: number | null, longest: number): number {
  if (seconds === null || longest === 0) return SHORTEST
  return SHORTEST + (seconds / longest) * (TALLEST - SHORTEST)
}

export function describeRuns(runs: RunBar[]): string {
  if (runs.length === 0) return 'No runs yet'
  const failed = runs.filter((run) => isFailure(run.status)).length
  return `Last ${runs.length} runs: ${failed === 0 ? 'none failed' : `${failed} failed`}`
}
