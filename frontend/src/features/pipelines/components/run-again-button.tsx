import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense, useState } from 'react'
import { ErrorPanel } from '@/components/feedback'
import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { Dialog } from '@/components/ui/dialog'
import { SkeletonRows } from '@/components/ui/skeleton'
import { pipelineQuery } from '@/features/pipelines/api'
import type { Schemas } from '@/lib/api'
import { useHasRole } from '@/store/session'

// The form is only needed by who presses the button.
const RunAgainForm = lazy(async () => ({
  default: (await import('@/features/pipelines/components/run-again-form')).RunAgainForm,
}))

type RunAgainButtonProps = {
  execution: Schemas['ExecutionDetail']
  /** Run this stage alone, on what was recorded. */
  only?: string
}

/** Another execution of the same pipeline, with the same inputs unless they are changed. */
export function RunAgainButton({ execution, only }: RunAgainButtonProps) {
  const [open, setOpen] = useState(false)
  const pipeline = useQuery({ ...pipelineQuery(execution.pipeline_id), enabled: open })
  const mayRun = useHasRole('operator')
  if (!mayRun) return null
  const loading = <SkeletonRows rows={3} label="Loading the inputs" />
  return (
    <>
      <Button
        {...(only && { variant: 'ghost' as const, size: 'small' as const })}
        onClick={() => setOpen(true)}
      >
        <Icon name="executions" className={only ? 'size-3.5' : undefined} />
        {only ? 'Run only this' : 'Run again'}
      </Button>
      <Dialog
        open={open}
        onOpenChange={setOpen}
        title={only ? `Run ${only} again` : `Run ${execution.pipeline_name} again`}
        description={
          pipeline.data ? `With the inputs of #${execution.number}, unless they are changed` : ''
        }
      >
        {pipeline.isPending && loading}
        {pipeline.error && (
          <ErrorPanel
            error={pipeline.error}
            what="The pipeline"
            onRetry={() => void pipeline.refetch()}
          />
        )}
        {pipeline.data && (
          <Suspense fallback={loading}>
            <RunAgainForm pipeline={pipeline.data} execution={execution} only={only ?? null} />
          </Suspense>
        )}
      </Dialog>
    </>
  )
}
