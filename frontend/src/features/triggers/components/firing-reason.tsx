import { Prose } from '@/components/prose'
import type { Firing } from '@/features/triggers/api'
import { secondsLate } from '@/features/triggers/model'
import { formatDuration } from '@/lib/format'

/** Why nothing was started; of what was, that it is made up for. */
export function FiringReason({ firing }: { firing: Firing }) {
  if (firing.reason) return <Prose text={firing.reason} />
  const late = secondsLate(firing)
  if (firing.state !== 'started' || late === null) return null
  return `made up for, ${formatDuration(late)} late`
}
