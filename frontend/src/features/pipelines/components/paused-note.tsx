import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { usePausePipeline } from '@/features/pipelines/api'
import type { Schemas } from '@/lib/api'
import { formatMoment } from '@/lib/format'
import { useHasRole } from '@/store/session'

/** On the page of a paused pipeline: since when, by whom, what that means, and the way back. */
export function PausedNote({ pipeline }: { pipeline: Schemas['PipelineSummary'] }) {
  const pause = usePausePipeline(pipeline.id)
  const mayResume = useHasRole('operator')
  if (pipeline.enabled) return null
  const { paused_at: at, paused_by: by } = pipeline
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-2 rounded-md bg-state-retrying-tint px-3 py-2 text-state-retrying">
      <Icon name="hand" />
      <p className="min-w-0 flex-1">
        <b className="font-semibold">
          Paused{by && ` by ${by}`}
          {at && `, ${formatMoment(at)}`}.
        </b>{' '}
        No execution of it begins: new ones wait. Those under way go on.
      </p>
      {mayResume && (
        <Button size="small" disabled={pause.isPending} onClick={() => pause.mutate('resume')}>
          <Icon name="executions" className="size-3.5" />
          Resume
        </Button>
      )}
    </div>
  )
}
