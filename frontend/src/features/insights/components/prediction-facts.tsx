import { useNow } from '@/hooks/use-now'
import type { Schemas } from '@/lib/api'
import { formatChance, formatDuration, formatMoment } from '@/lib/format'

const TICK_MS = 1000

/** In the line of facts: how likely it was to fail, and when it will have ended. */
export function PredictionFacts({ execution }: { execution: Schemas['ExecutionDetail'] }) {
  const { prediction, ended_at } = execution
  const now = useNow(ended_at ? null : TICK_MS)
  if (!prediction?.enough || prediction.failure_probability === null) return null
  const { failure_low: low, failure_high: high, ends_at, ends_latest, outlook } = prediction
  const chance = ended_at
    ? prediction.failure_probability
    : (outlook?.failure_probability ?? prediction.failure_probability)
  const between =
    low !== null && high !== null && !outlook
      ? `between ${formatChance(low)} and ${formatChance(high)}. `
      : ''
  return (
    <>
      <span title={`${between}${prediction.words ?? ''}`}>
        risk to fail {ended_at && 'foreseen '}
        <b className="font-medium text-foreground">{formatChance(chance)}</b>
      </span>
      {!ended_at && ends_at && (
        <span title={`nine times in ten by ${formatMoment(ends_latest ?? ends_at)}`}>
          ends in about{' '}
          <b className="font-medium text-foreground">
            {formatDuration(Math.max(0, (Date.parse(ends_at) - now) / 1000))}
          </b>
          {ends_latest && (
            <> at most {formatDuration(Math.max(0, (Date.parse(ends_latest) - now) / 1000))}</>
          )}
        </span>
      )}
    </>
  )
}
