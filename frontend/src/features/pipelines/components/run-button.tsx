import { useState } from 'react'
import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { Dialog } from '@/components/ui/dialog'
import { RunForm } from '@/features/pipelines/components/run-form'
import type { Schemas } from '@/lib/api'
import { useHasRole } from '@/store/session'

export function RunButton({ pipeline }: { pipeline: Schemas['PipelineDetail'] }) {
  const [open, setOpen] = useState(false)
  const mayRun = useHasRole('operator')
  if (!mayRun) return null
  return (
    <>
      <Button variant="primary" onClick={() => setOpen(true)}>
        <Icon name="executions" />
        Run
      </Button>
      <Dialog
        open={open}
        onOpenChange={setOpen}
        title={`Run ${pipeline.name}`}
        description={`Version ${pipeline.version}`}
      >
        <RunForm pipeline={pipeline} />
      </Dialog>
    </>
  )
}
